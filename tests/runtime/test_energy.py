import sys
from types import SimpleNamespace

import pytest
import torch

from bitswitch.runtime import energy
from bitswitch.runtime.energy import GpuMeter, MeterError, PackageMeter, meter_of
from bitswitch.runtime.gpus import Found, Gpu

RANGE = 262143328850


@pytest.fixture
def powercap(tmp_path):
    """The folder of a machine of two packages, as Linux lays it out."""
    folder = tmp_path / "powercap"
    names = {
        "intel-rapl": "",
        "intel-rapl:0": "package-0",
        "intel-rapl:0:0": "core",
        "intel-rapl:0:1": "dram",
        "intel-rapl:1": "package-1",
        "intel-rapl:2": "psys",
        "intel-rapl-mmio:0": "package-0",
    }
    for name, content in names.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "name").write_text(f"{content}\n")
        (folder / name / "max_energy_range_uj").write_text(f"{RANGE}\n")
        (folder / name / "energy_uj").write_text("5000000\n")
    return folder


@pytest.fixture
def stat(tmp_path):
    path = tmp_path / "stat"
    path.write_text("cpu  100 0 50 9000 10 0 0 0 0 0\ncpu0 1 2 3\n")
    return path


def count(powercap, package, microjoules):
    (powercap / f"intel-rapl:{package}" / "energy_uj").write_text(f"{microjoules}\n")


def test_packages_add_up_and_their_parts_do_not_count(powercap, stat):
    meter = PackageMeter(powercap, stat)
    assert meter.source == "processor packages"
    assert meter.read() == 0
    count(powercap, 0, 7_000_000)
    count(powercap, 1, 5_500_000)
    count(powercap, 2, 99_000_000)
    count(powercap, "0:1", 99_000_000)
    assert meter.read() == pytest.approx(2.5)
    assert meter.read() == 0


def test_a_counter_that_has_started_again_goes_on(powercap, stat):
    count(powercap, 1, RANGE - 1_000_000)
    meter = PackageMeter(powercap, stat)
    count(powercap, 1, 3_000_000)
    assert meter.read() == pytest.approx(4.0)


def test_processors_are_shared_where_others_work_too(powercap, stat):
    meter = PackageMeter(powercap, stat)
    assert not meter.is_shared()
    stat.write_text("cpu  9000 0 9000 9000 10 0 0 0 0 0\n")
    assert meter.is_shared()


def test_time_that_processors_wait_is_not_that_of_others(powercap, stat):
    meter = PackageMeter(powercap, stat)
    stat.write_text("cpu  100 0 50 90000 9000 0 0 0 0 0\n")
    assert not meter.is_shared()


def test_what_cannot_be_read_is_said(powercap, stat, tmp_path):
    with pytest.raises(MeterError, match="no energy counter that the system shows"):
        PackageMeter(tmp_path / "none", stat)
    (powercap / "intel-rapl:1" / "energy_uj").write_text("much\n")
    with pytest.raises(MeterError, match="intel-rapl:1/energy_uj holds no number"):
        PackageMeter(powercap, stat)
    (powercap / "intel-rapl:1" / "energy_uj").unlink()
    with pytest.raises(MeterError, match="intel-rapl:1/energy_uj cannot be read: No such file"):
        PackageMeter(powercap, stat)


def test_a_counter_may_be_root_s_alone(powercap, stat, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    meter = PackageMeter(powercap, stat)
    monkeypatch.setattr(type(powercap), "read_text", refuse)
    with pytest.raises(MeterError, match="energy_uj cannot be read: Permission denied"):
        meter.read()


class FakeNvml:
    """A driver that knows one GPU."""

    class NVMLError(Exception):
        pass

    def __init__(self):
        self.millijoules, self.processes, self.counts = 1000, 1, True

    def nvmlInit(self):  # noqa: N802  (named by NVIDIA, as all here)
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid):  # noqa: N802
        if uuid != "GPU-1":
            raise self.NVMLError("Not Found")
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):  # noqa: N802
        if not self.counts:
            raise self.NVMLError("Not Supported")
        return self.millijoules

    def nvmlDeviceGetComputeRunningProcesses(self, handle):  # noqa: N802
        return [object()] * self.processes


@pytest.fixture
def nvml(monkeypatch):
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return fake


def test_a_gpu_counts_since_the_meter_was_made(nvml):
    meter = GpuMeter("GPU-1")
    nvml.millijoules = 251_000
    assert (meter.source, meter.read(), meter.is_shared()) == ("GPU", 250.0, False)
    assert meter.read() == 0


def test_a_gpu_that_another_process_used_meanwhile_is_shared(nvml):
    meter = GpuMeter("GPU-1")
    nvml.processes = 2
    meter.read()
    nvml.processes = 1
    meter.read()
    assert meter.is_shared()


def test_gpus_without_a_counter_say_so(nvml, monkeypatch):
    with pytest.raises(MeterError, match="NVML does not know the GPU: Not Found"):
        GpuMeter("GPU-2")
    meter = GpuMeter("GPU-1")
    nvml.millijoules = 0
    with pytest.raises(MeterError, match="was reset"):
        meter.read()
    nvml.counts = False
    with pytest.raises(MeterError, match="reads no energy counter of the GPU: Not Supported"):
        GpuMeter("GPU-1")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(MeterError, match=r"pip install 'bitswitch\[energy\]'"):
        GpuMeter("GPU-1")


def test_the_meter_is_that_of_the_device(nvml, monkeypatch):
    properties = SimpleNamespace(uuid="1")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.setattr(energy, "visible", lambda: Found([Gpu("0", "GPU-1")], None))
    assert isinstance(meter_of(torch.device("cuda", 0)), GpuMeter)
    monkeypatch.setattr(energy, "visible", lambda: Found([Gpu("0", "MIG-1")], None))
    with pytest.raises(MeterError, match=r"divided GPU \(MIG\) has no energy counter"):
        meter_of(torch.device("cuda", 0))
    monkeypatch.setattr(energy, "PackageMeter", lambda: "packages")
    assert meter_of(torch.device("cpu")) == "packages"
