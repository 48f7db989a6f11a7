"""The file of `bitswitch bench gpu`, and where it may lie."""

from pathlib import Path

import pytest

from bitswitch.errors import RecordError
from bitswitch.results.device_bench import (
    REFERENCE,
    Check,
    DeviceBench,
    MeasuredPasses,
    PartResult,
    check_place,
    slug,
)

TOP = Path(__file__).parents[2]
PASSES = MeasuredPasses(
    model="resnet20",
    dataset="cifar10",
    method="double-rounding",
    bitset=(8, 4),
    batch_size=128,
    precision="float32",
    compile=False,
    passes=2.0,
    step_s=0.5,
    peak_memory_mib=100.0,
)


def bench(**changes):
    fields = {
        "device": "NVIDIA H100 80GB HBM3",
        "device_type": "cuda",
        "driver": "550.54",
        "cuda": "12.8",
        "torch": "2.15.0",
        "python": "3.12.0",
        "bitswitch_version": "0.1.0",
        "commit": "0123",
        "code_hash": "4567",
        "started": "2000-01-01T00:00:00+00:00",
        "minutes": 8.0,
        "seconds": 470.0,
        "passes": (PASSES,),
        "parts": (PartResult(name="kernels", seconds=1.0),),
    }
    return DeviceBench(**(fields | changes))


def test_it_says_what_was_written(tmp_path):
    bench().write(tmp_path / "one.json")
    read = DeviceBench.read(tmp_path / "one.json")
    assert read == bench()
    assert read.passes[0].pass_s == 0.25


def test_failures_are_sentences():
    broken = PartResult(
        name="kernels",
        seconds=1.0,
        checks=(Check(name="packing"), Check(name="narrowing", problem="3 codes differ")),
        problem="stopped after 60 s",
    )
    assert bench().failures == []
    assert bench(parts=(broken,)).failures == [
        "kernels: narrowing: 3 codes differ",
        "kernels: stopped after 60 s",
    ]


def test_files_of_gpus_are_of_gpus_and_called_after_them(tmp_path):
    folder = tmp_path / REFERENCE
    gpu, cpu = "NVIDIA H100 80GB HBM3", "Some Processor"
    check_place(folder / f"{slug(gpu)}.json", gpu, "cuda")
    check_place(tmp_path / "tried.json", cpu, "cpu")
    with pytest.raises(RecordError, match="'Some Processor' is a processor"):
        check_place(folder / f"{slug(cpu)}.json", cpu, "cpu")
    with pytest.raises(RecordError, match="called after its device"):
        check_place(folder / "h100.json", gpu, "cuda")


@pytest.mark.parametrize(
    "path", sorted((TOP / REFERENCE).glob("*.json")), ids=lambda path: path.stem
)
def test_reference_files_are_whole(path):
    found = DeviceBench.read(path)
    check_place(path, found.device, found.device_type)
    assert found.passes
    assert found.commit
    assert not found.commit.endswith("-dirty")
