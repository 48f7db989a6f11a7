"""Where the time of a pass on a GPU comes from: measurements first, a roofline else."""

import pytest

from bitswitch.errors import DeviceError, RecordError
from bitswitch.planning import gpu_model
from bitswitch.planning.devices import Mode
from bitswitch.planning.gpu_model import GpuModel
from bitswitch.planning.networks import network_size
from bitswitch.results.device_bench import DeviceBench, MeasuredPasses
from bitswitch.runtime import cache

H100 = "NVIDIA H100 80GB HBM3"


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FOLDER", tmp_path)
    monkeypatch.setattr(gpu_model, "_benches", lambda: ())


def passes(**changes):
    fields = {
        "model": "resnet8",
        "dataset": "digits",
        "method": "double-rounding",
        "bitset": (8, 4, 2),
        "batch_size": 16,
        "precision": "float32",
        "compile": False,
        "passes": 3.0,
        "step_s": 0.03,
        "peak_memory_mib": 100.0,
    }
    return MeasuredPasses(**(fields | changes))


def bench(*measured, device=H100):
    about = dict.fromkeys(("driver", "cuda", "bitswitch_version", "commit"), "1")
    return DeviceBench(
        device=device,
        device_type="cuda",
        torch="2",
        python="3",
        code_hash="0",
        started="then",
        minutes=8.0,
        seconds=400.0,
        passes=measured,
        parts=(),
        **about,
    )


def test_without_measurements_the_roofline_speaks(tiny_run):
    found = GpuModel.of("h100").pass_time(tiny_run())
    assert found.source == "roofline of NVIDIA H100 SXM5 80 GB"
    assert found.bound == "launches"


def test_what_was_measured_overrides_the_roofline(tiny_run, monkeypatch):
    monkeypatch.setattr(gpu_model, "_benches", lambda: (bench(passes()),))
    model = GpuModel.of("h100")
    found = model.pass_time(tiny_run())
    assert found.time_s == 0.01
    assert (
        found.source == f"measured on {H100}: resnet8 on digits, double-rounding, batch 16, float32"
    )
    assert model == GpuModel.of("nvidia-h100-80gb-hbm3") or model.title == H100
    # Nothing compiled was measured.
    assert model.pass_time(tiny_run(), Mode(captured=True)).source.startswith("roofline")
    # What runs share is what the roofline leaves idle.
    shared = model.pass_time(tiny_run(), Mode(runs=2))
    assert shared.time_s == 0.005


def test_the_nearest_measurement_is_scaled_by_operations_and_says_so(tiny_run, tmp_path):
    bench(
        passes(model="resnet20", step_s=9.0),
        passes(batch_size=64),
        passes(batch_size=32),
        passes(batch_size=16, compile=True),
    ).write(tmp_path / "one.json")
    found = GpuModel.of(str(tmp_path / "one.json")).pass_time(tiny_run())
    assert found.time_s == pytest.approx(0.01 / 2)
    assert found.source.endswith("batch 32, float32, scaled by operations")


def test_another_network_is_scaled_by_its_own_operations(tiny_run, monkeypatch):
    monkeypatch.setattr(gpu_model, "_benches", lambda: (bench(passes(model="resnet20")),))
    run = tiny_run()
    larger = run.model_copy(update={"model": run.model.model_copy(update={"name": "resnet20"})})
    found = GpuModel.of("h100").pass_time(run)
    ratio = network_size(run)["train_flops"] / network_size(larger)["train_flops"]
    assert found.time_s == pytest.approx(0.01 * ratio)
    assert "resnet20 on digits" in found.source


def test_a_device_without_published_peaks_has_measurements_alone(tiny_run, tmp_path):
    bench(passes(), device="Some GPU").write(tmp_path / "some-gpu.json")
    model = GpuModel.of(str(tmp_path / "some-gpu.json"))
    assert model.memory_bytes is None
    assert model.pass_time(tiny_run()).bound is None
    with pytest.raises(DeviceError, match="on Some GPU says how long resnet8 on digits takes comp"):
        model.pass_time(tiny_run(), Mode(captured=True))


def test_a_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "one.json").write_text("{}")
    with pytest.raises(RecordError):
        GpuModel.of(str(tmp_path / "one.json"))


def test_what_is_no_training_is_never_captured(tiny_run):
    model = GpuModel.of("h100")
    eager, captured = (model.pass_time(tiny_run(), Mode(on), trained=False) for on in (False, True))
    assert eager == captured
