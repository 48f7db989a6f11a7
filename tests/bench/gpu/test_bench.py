"""Parts in processes of their own, and what becomes of what they find."""

import time

import pytest
import torch

from bitswitch.bench.gpu import bench, process
from bitswitch.bench.gpu.process import PARTS, Part
from bitswitch.errors import DeviceError, RecordError, SpecError
from bitswitch.results.device_bench import REFERENCE, DeviceBench, PartResult
from tests.results.test_device_bench import bench as one_file


def test_a_part_runs_in_a_process_of_its_own(tmp_path):
    found = bench.measure("cpu", 2.0, bench.chosen("loading"))
    assert found.failures == []
    (part,) = found.parts
    names = [one.name for one in part.figures]
    assert names == [
        "32x32 in memory",
        "processes that decode",
        "folders",
        "jpeg-256-90",
        "raw-256",
    ]
    found.write(tmp_path / "tried.json")
    assert DeviceBench.read(tmp_path / "tried.json") == found
    assert "A processor, to try the benchmark out" in bench.render(found)


def test_a_part_that_fails_says_why(tmp_path):
    log = tmp_path / "log"
    log.write_text("Traceback\nRuntimeError: CUDA error: an illegal memory access\n")
    check = ("Check", {"name": "packing"})
    result, passes = process._ended(PARTS[0], [check], 1, log, 2.0)
    assert result.problem == "exit code 1: RuntimeError: CUDA error: an illegal memory access"
    assert [one.name for one in result.checks] == ["packing"]
    assert passes == ()


def test_a_part_is_ended_at_the_limit():
    now = time.monotonic()
    ended = process.run(PARTS[0], "cpu", now, now)
    assert "its time was over" in ended.result.problem
    assert ended.result.seconds < 10


def test_what_one_part_leaves_the_others_share(monkeypatch):
    told = []
    monkeypatch.setattr(process, "run", lambda part, device, deadline, last: told.append(deadline))
    parts = (Part("one", "", 1.0), Part("two", "", 1.0))
    now = time.monotonic()
    list(bench._in_turn(parts, "cpu", now + bench.MARGIN_S + 10))
    assert told == [pytest.approx(now + 5, abs=0.5), pytest.approx(now + 10, abs=0.5)]


def test_parts_have_names():
    assert bench.chosen("") == PARTS
    assert [part.name for part in bench.chosen("sharing,kernels")] == ["kernels", "sharing"]
    with pytest.raises(SpecError, match="Did you mean 'kernels'"):
        bench.chosen("kernel")


def test_a_processor_writes_nothing_among_the_gpus(tmp_path):
    with pytest.raises(RecordError, match="is a processor"):
        bench.place_for(tmp_path / REFERENCE, "cpu")
    assert bench.place_for(tmp_path / "tried.json", "cpu") == tmp_path / "tried.json"
    assert bench.place_for(tmp_path, "cpu").parent == tmp_path


def test_without_a_gpu_the_error_says_what_to_do():
    with pytest.raises(DeviceError, match=r"needs one CUDA GPU.*--device cpu"):
        bench.usable("cuda:9")


def test_the_table_shows_steps_in_passes():
    lines = bench.render(one_file()).splitlines()
    (line,) = (line for line in lines if line.startswith("resnet20"))
    assert "500.00 ms  250.00 ms" in line
    assert line.endswith("-")


def test_what_there_is_no_time_for_takes_one_line():
    part = PartResult(
        name="x", seconds=1.0, left_out=("a: no time left", "b: why", "c: no time left")
    )
    text = bench.render(one_file(parts=(part,)))
    assert text.endswith("Left out:\n  x: b: why\n  x, no time left: a; c")


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_computes_what_a_processor_does():
    found = bench.measure("cuda", 2.0, bench.chosen("kernels"))
    assert found.failures == []
    assert found.parts[0].checks
