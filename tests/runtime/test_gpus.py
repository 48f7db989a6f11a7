"""What CUDA would see, by a driver that is a script."""

import os

import pytest

from bitswitch.errors import DeviceError
from bitswitch.runtime import devices, gpus
from bitswitch.runtime.devices import claimed_gpus
from bitswitch.runtime.gpus import ORDER, VISIBLE, visible

TWO = """\
GPU 0: NVIDIA H200 (UUID: GPU-aa11-1)
GPU 1: NVIDIA H200 (UUID: GPU-aa22-2)
"""
UNLIKE = TWO.replace("H200", "A10", 1)
DIVIDED = """\
GPU 0: NVIDIA A100 (UUID: GPU-aa11-1)
  MIG 1g.5gb      Device  0: (UUID: MIG-b1)
  MIG 1g.5gb      Device  1: (UUID: MIG-b2)
GPU 1: NVIDIA A100 (UUID: GPU-aa22-2)
"""


@pytest.fixture
def driver(monkeypatch, tmp_path):
    """Let `nvidia-smi` be a script, or absent."""

    def be(script, names=None):
        if script is not None:
            (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / "nvidia-smi").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin" if script else str(tmp_path))
        monkeypatch.delenv(ORDER, raising=False)
        monkeypatch.delenv(VISIBLE, raising=False)
        if names is not None:
            monkeypatch.setenv(VISIBLE, names)

    forget = gpus._present.cache_clear
    forget()
    yield be
    forget()


def says(text):
    return f"cat <<'END'\n{text}END"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (TWO, ["GPU-aa11-1", "GPU-aa22-2"]),
        (DIVIDED, ["MIG-b1", "MIG-b2", "GPU-aa22-2"]),
        ("", []),
    ],
)
def test_the_driver_lists_what_there_is(driver, text, seen):
    driver(says(text))
    assert [gpu.name for gpu in visible().gpus] == seen


@pytest.mark.parametrize(
    ("names", "seen"),
    [
        ("1, 0", ["GPU-aa22-2", "GPU-aa11-1"]),
        ("0,2,1", ["GPU-aa11-1"]),  # CUDA stops at the first that is not there
        ("0,-1,1", ["GPU-aa11-1"]),
        ("0,,1", ["GPU-aa11-1"]),
        ("1x", ["GPU-aa22-2"]),  # and reads numbers like C
        ("GPU-aa22, GPU-aa11-1", ["GPU-aa22-2", "GPU-aa11-1"]),
        ("GPU-aa11,0", ["GPU-aa11-1"]),
        ("GPU-aa11,GPU-aa", ["GPU-aa11-1"]),  # the second is ambiguous
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("none", []),
    ],
)
def test_names_mean_what_they_mean_to_cuda(driver, names, seen):
    driver(says(TWO), names)
    found = visible()
    assert [gpu.identity for gpu in found.gpus] == seen
    assert [gpu.name for gpu in found.gpus] == [name.strip() for name in names.split(",")][
        : len(seen)
    ]
    assert found.fault is None


@pytest.mark.parametrize("names", ["0,0", "GPU-aa11,GPU-aa11-1", "7", "GPU-zz", "MIG-zz"])
def test_names_that_leave_cuda_without_a_gpu_are_a_fault(driver, names):
    driver(says(TWO), names)
    assert visible().gpus == []
    assert names in visible().fault


def test_parts_of_divided_gpus_can_be_named(driver):
    driver(says(DIVIDED), "MIG-b2")
    assert [gpu.identity for gpu in visible().gpus] == ["MIG-b2"]


def test_an_index_is_a_certain_gpu_only_where_counting_is_certain(driver, monkeypatch):
    driver(says(UNLIKE), "0")
    assert visible().gpus[0].identity == "0"
    monkeypatch.setenv(ORDER, "PCI_BUS_ID")
    assert visible().gpus[0].identity == "GPU-aa11-1"


def test_a_gpu_is_claimed_once_under_all_its_names(driver, monkeypatch, tmp_path):
    folder = tmp_path / "locks"
    folder.mkdir()
    driver(says(TWO), "1,0")
    with claimed_gpus("auto", folder=folder) as first:
        assert first == ["1"]
        monkeypatch.setenv(VISIBLE, "GPU-aa22,GPU-aa11")
        with claimed_gpus("auto", folder=folder) as second:
            assert second == ["GPU-aa11"]


def test_several_gpus_are_claimed_at_once_or_none(driver, tmp_path):
    folder = tmp_path / "locks"
    folder.mkdir()
    driver(says(TWO), "1,0")
    with claimed_gpus("auto", folder=folder, count=2) as both:
        assert both == ["1", "0"]
        assert os.environ[VISIBLE] == "1,0"
        assert devices._free([(gpu, 0) for gpu in visible().gpus], folder, 1) == {}
    with (
        claimed_gpus("auto", folder=folder),
        pytest.raises(DeviceError, match="3 processes need 3 GPUs, and there are 1"),
        claimed_gpus("auto", folder=folder, count=3),
    ):
        pass
    with claimed_gpus("auto", folder=folder, count=2) as both:
        assert both == ["1", "0"]


def test_without_a_driver_names_are_believed(driver, monkeypatch):
    monkeypatch.setattr(gpus, "_present", lambda program: [])
    driver(None, "3,GPU-a")
    assert [gpu.name for gpu in visible().gpus] == ["3"]
    driver(None, "GPU-a,GPU-b")
    assert [gpu.name for gpu in visible().gpus] == ["GPU-a", "GPU-b"]


@pytest.mark.parametrize("script", ["echo 'no driver' >&2; exit 9", "exec sleep 60"])
def test_a_driver_that_does_not_answer_is_said_once(driver, monkeypatch, caplog, script):
    monkeypatch.setattr(gpus, "TIMEOUT_S", 0.2)
    driver(script)
    assert visible().gpus == visible().gpus
    assert len(caplog.messages) == 1
    assert "nvidia-smi does not say which GPUs there are" in caplog.messages[0]
