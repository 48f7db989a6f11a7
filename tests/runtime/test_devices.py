import errno
import fcntl
import os
import re
import subprocess
import sys
import threading
import time

import pytest
import torch

from bitswitch.errors import DeviceError, LockError
from bitswitch.runtime import devices
from bitswitch.runtime.devices import (
    claimed_gpus,
    make_current,
    product_name,
    resolve,
    training_slots,
)
from bitswitch.runtime.gpus import VISIBLE
from bitswitch.runtime.locks import try_lock


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(devices, "POLL_S", 0.01)


@pytest.fixture
def gpus(monkeypatch):
    def see(names):
        monkeypatch.setenv(VISIBLE, names)

    return see


@pytest.fixture
def exact(monkeypatch):
    """Return a list that grows by one when products are made exact."""
    found = []
    monkeypatch.setattr("bitswitch.runtime.products.multiply_exactly", lambda: found.append(1))
    return found


def test_one_run_per_gpu_unless_asked(gpus):
    gpus("0,1")
    assert training_slots("auto") == 2
    assert training_slots("cuda", runs_per_gpu=3) == 6
    assert training_slots("cuda:1", runs_per_gpu=3) == 3
    assert training_slots("cpu") == devices.available_cpus()


def test_without_gpus_there_is_a_slot_per_processor(gpus):
    gpus("")
    assert training_slots("auto", runs_per_gpu=4) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "tpu", "cuda:-1", "cpu:0", ""])
def test_unknown_devices_are_refused(device):
    with pytest.raises(DeviceError, match="There is no device"):
        resolve(device)
    with pytest.raises(DeviceError, match="There is no device"):
        training_slots(device)


def test_the_nearest_device_is_suggested():
    with pytest.raises(DeviceError, match="Did you mean 'cuda'"):
        resolve("cudda")


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_an_absent_gpu_says_what_to_do(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"sees no GPU here.\n(.*\n)*.*--device cpu"):
        resolve(device)


@pytest.mark.parametrize(
    ("cuda", "said"), [("13.2", "it is, for CUDA 13.2: a driver older"), (None, "it is not")]
)
def test_a_torch_that_sees_no_gpu_says_what_driver_it_needs(monkeypatch, cuda, said):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    with pytest.raises(DeviceError, match=re.escape(said)):
        resolve("cuda")


@pytest.mark.usefixtures("exact")
def test_an_index_too_high_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve("cuda:1") == torch.device("cuda:1")
    with pytest.raises(DeviceError, match="sees 2 GPUs"):
        resolve("cuda:2")


@pytest.mark.parametrize(("count", "kind"), [(0, "cpu"), (1, "cuda")])
def test_auto_takes_a_gpu_where_there_is_one(monkeypatch, gpus, exact, count, kind):
    gpus("0" * count)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(count))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert resolve("auto").type == kind
    assert len(exact) == count


@pytest.mark.parametrize(
    ("names", "why"), [("0", "There is a GPU here (0)"), ("0,0", "names one GPU twice")]
)
def test_auto_never_leaves_a_gpu_that_is_meant_for_the_processor(monkeypatch, gpus, names, why):
    gpus(names)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=rf"{re.escape(why)}.*sees no GPU(.*\n)*.*--device cpu"):
        resolve("auto")


@pytest.mark.parametrize(
    ("device", "current"), [("cpu", None), ("meta", None), ("cuda", None), ("cuda:1", 1)]
)
def test_a_gpu_with_an_index_is_what_no_name_means(monkeypatch, device, current):
    found = []
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: found.append(device.index))
    make_current(torch.device(device))
    assert found == ([] if current is None else [current])


def test_processors_have_a_name():
    assert product_name(torch.device("cpu"))


def test_claims_take_different_gpus_and_hide_the_others(gpus, tmp_path):
    gpus("0,1")
    with claimed_gpus("auto", folder=tmp_path) as first:
        assert [os.environ[VISIBLE]] == first == ["0"]
        gpus("0,1")
        with claimed_gpus("cuda", folder=tmp_path) as second:
            assert [os.environ[VISIBLE]] == second == ["1"]


def test_a_claim_puts_the_environment_back(gpus, tmp_path):
    gpus("0,1")
    with claimed_gpus("auto", folder=tmp_path):
        pass
    assert os.environ[VISIBLE] == "0,1"


def test_runs_share_a_gpu_only_when_all_have_one(gpus, tmp_path):
    claimed = []
    for _ in range(4):
        gpus("0,1")
        claim = claimed_gpus("auto", runs_per_gpu=2, folder=tmp_path)
        claimed.append((claim, claim.__enter__()))
    assert [gpu for _, (gpu,) in claimed] == ["0", "1", "0", "1"]
    for claim, _ in reversed(claimed):
        claim.__exit__(None, None, None)


def test_one_more_than_may_share_a_gpu_waits_until_either_of_them_ends(gpus, tmp_path):
    claims = [claimed_gpus("auto", 2, tmp_path) for _ in range(2)]
    for claim in claims:
        gpus("0")
        assert claim.__enter__() == ["0"]
    second_ends = threading.Timer(0.1, lambda: claims[1].__exit__(None, None, None))
    gpus("0")
    began = time.monotonic()
    second_ends.start()
    with claimed_gpus("auto", 2, tmp_path) as gpu:
        assert gpu == ["0"]
        assert time.monotonic() - began >= 0.1
        assert try_lock(tmp_path / "0-0") is None
    claims[0].__exit__(None, None, None)


def test_processes_of_one_run_never_share_a_gpu_with_each_other(gpus, tmp_path):
    gpus("0,1")
    with claimed_gpus("auto", 2, tmp_path, count=2) as first:
        gpus("0,1")
        with claimed_gpus("auto", 2, tmp_path, count=2) as second:
            assert first == second == ["0", "1"]


def test_a_claim_waits_with_a_message_until_a_gpu_is_free(gpus, tmp_path, caplog):
    gpus("0")
    caplog.set_level("INFO")
    first = claimed_gpus("auto", folder=tmp_path)
    first.__enter__()
    timer = threading.Timer(0.1, lambda: first.__exit__(None, None, None))
    began = time.monotonic()
    timer.start()
    with claimed_gpus("auto", folder=tmp_path) as gpu:
        assert gpu == ["0"]
        assert time.monotonic() - began >= 0.1
    assert caplog.messages == ["all 1 GPU slots are taken by other runs; waiting for one"]


def test_a_killed_process_frees_its_gpu(gpus, tmp_path):
    gpus("0")
    code = (
        "import sys, time; from pathlib import Path\n"
        "from bitswitch.runtime.devices import claimed_gpus\n"
        "with claimed_gpus('auto', folder=Path(sys.argv[1])): print('held', flush=True);"
        " time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    assert try_lock(tmp_path / "0-0") is None
    holder.kill()
    holder.wait()
    with claimed_gpus("auto", folder=tmp_path) as gpu:
        assert gpu == ["0"]


@pytest.mark.parametrize("device", ["cpu", "cuda:2"])
def test_nothing_is_claimed_without_a_gpu(gpus, tmp_path, device):
    gpus("0,1")
    with claimed_gpus(device, folder=tmp_path) as gpu:
        assert gpu == []
        assert os.environ[VISIBLE] == "0,1"
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_with_an_index_is_claimed_and_stays_countable(gpus, tmp_path):
    gpus("3,5")
    with claimed_gpus("cuda:1", folder=tmp_path) as gpu:
        assert gpu == ["5"]
        assert os.environ[VISIBLE] == "3,5"
        gpus("5")
        assert try_lock(tmp_path / "5-0") is None


def test_without_locks_no_gpu_is_claimed(gpus, tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    gpus("0")
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(LockError, match=r"has no file locks(.*\n)*.*TMPDIR=FOLDER"):
        claimed_gpus("auto", folder=tmp_path).__enter__()
