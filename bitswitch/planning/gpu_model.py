"""How long a pass takes on a GPU that is not here: measured by others, or at least a roofline."""

from dataclasses import dataclass, field
from functools import cache
from math import log
from pathlib import Path
from typing import NamedTuple

from bitswitch.errors import BitswitchError, DeviceError
from bitswitch.planning import devices
from bitswitch.planning.devices import Bound, Device, Duration, Mode, Work, roofline
from bitswitch.planning.networks import network_size, unweighted
from bitswitch.planning.pass_work import is_bare, pass_work
from bitswitch.plugins.resolve import resolved_choice
from bitswitch.results.device_bench import REFERENCE, DeviceBench, MeasuredPasses, slug
from bitswitch.spec.run import Choice, RunSpec

EAGER = Mode()


class ModelledPass(NamedTuple):
    """Of one pass over a batch."""

    time_s: float
    bound: Bound | None
    """What it waits for, as far as it is modelled; None: nothing is known of the device."""
    source: str


@dataclass(frozen=True)
class GpuModel:
    """One kind of GPU."""

    name: str
    """What ``--assume`` calls it."""
    title: str
    device: Device | None
    """Its published peaks; None: nothing but measurements is known."""
    measured: tuple[MeasuredPasses, ...] = ()
    _works: dict[tuple[str, bool], Work] = field(default_factory=dict, repr=False)
    _times: dict[tuple[str, Mode, bool], ModelledPass] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, name: str) -> "GpuModel":
        """Return the GPU ``name``: a known device, one that was measured, or a file of one.

        Raises:
            DeviceError: nothing is known of it.
            RecordError: the file says nothing of a device.
        """
        benches = [DeviceBench.read(Path(name))] if name.endswith(".json") else _benches()
        bench = next((one for one in benches if name.endswith(".json") or _is(one, name)), None)
        if bench is None:
            assumed = devices.device(name)
            return cls(name, assumed.name, assumed)
        known = devices.called(bench.device)
        device = devices.known().devices[known] if known else None
        return cls(name, bench.device, device, bench.passes)

    @property
    def memory_bytes(self) -> float | None:
        """What fits; None: not known."""
        return None if self.device is None else self.device.memory_gb * 1e9

    def pass_time(self, run: RunSpec, mode: Mode = EAGER, trained: bool = True) -> ModelledPass:
        """Return how long a forward and backward pass of ``run`` over a batch takes.

        Args:
            run: Resolved spec.
            mode: How it uses the GPU.
            trained: Whether it is a pass of training, with the precision of the recipe and the
                optimizer's share.

        Raises:
            DeviceError: nothing that was measured says anything of it.
        """
        key = run.run_id, mode, trained
        if key not in self._times:
            self._times[key] = self._pass_time(run, mode, trained)
        return self._times[key]

    def _work(self, run: RunSpec, trained: bool) -> Work:
        """Return the work of a pass, counted once."""
        key = run.run_id, trained
        if key not in self._works:
            self._works[key] = pass_work(run, trained)
        return self._works[key]

    def _pass_time(self, run: RunSpec, mode: Mode, trained: bool) -> ModelledPass:
        """Return what ``pass_time`` does; what is no training is never compiled."""
        mode = mode._replace(captured=mode.captured and trained)
        precision = run.training.precision if trained else "float32"
        found = _nearest(self.measured, run, precision, mode.captured)
        least = None
        if self.device is not None:
            least = roofline(self.device, self._work(run, trained), precision, mode)
        if found is not None:
            return self._shared(found, least, mode)
        if least is None:
            raise DeviceError(
                f"Nothing that was measured on {self.title} says how long {run.model.name} on "
                f"{run.dataset.name} takes {'compiled' if mode.captured else 'eager'}.\n"
                f"  Measure it there: bitswitch bench gpu; or assume a device of these: "
                f"{', '.join(devices.known().devices)}"
            )
        alone = ", network alone" if is_bare(run) else ""
        return ModelledPass(least.time_s, least.bound, f"roofline of {self.title}{alone}")

    def _shared(self, found: "_Measured", least: Duration | None, mode: Mode) -> ModelledPass:
        """Return what was measured of one run, for so many that share the GPU.

        They overlap as far as the roofline leaves the device idle.
        """
        source = f"measured on {self.title}: {found.about}"
        if least is None:
            return ModelledPass(found.time_s, None, source)
        overlapped = max(found.time_s / mode.runs, least.time_s)
        return ModelledPass(min(found.time_s, overlapped), least.bound, source)


class _Measured(NamedTuple):
    """What was measured, as far as it says something of a run."""

    time_s: float
    about: str


@cache
def _benches() -> tuple[DeviceBench, ...]:
    """Return what was measured of GPUs, as the repository or this folder keep it."""
    top = Path(__file__).parents[2]
    folders = dict.fromkeys(folder.resolve() for folder in (top / REFERENCE, REFERENCE))
    files = [path for folder in folders for path in sorted(folder.glob("*.json"))]
    return tuple(DeviceBench.read(path) for path in files)


def _is(bench: DeviceBench, name: str) -> bool:
    """Return whether ``bench`` is of the device ``name``, which may be that of its file."""
    return name in (slug(bench.device), devices.called(bench.device))


def _nearest(
    measured: tuple[MeasuredPasses, ...], run: RunSpec, precision: str, captured: bool
) -> _Measured | None:
    """Return the time of a pass of ``run`` by the measurement that has most in common with it."""
    batch = run.training.batch_size

    def distance(one: MeasuredPasses) -> tuple[bool | float, ...]:
        return (
            not _same_model(one, run),
            one.dataset != run.dataset.name,
            one.method != run.method.name,
            one.precision != precision,
            abs(log(one.batch_size / batch)),
        )

    alike = [one for one in measured if one.compile == captured]
    for one in sorted(alike, key=distance):
        operations = _operations(one, run)
        if operations:
            about = f"{one.model} on {one.dataset}, {one.method}, batch {one.batch_size}"
            about += f", {one.precision}{', compiled' if captured else ''}"
            if not any(distance(one)):
                return _Measured(one.pass_s, about)
            scale = network_size(run)["train_flops"] * batch / operations
            return _Measured(one.pass_s * scale, f"{about}, scaled by operations")
    return None


def _same_model(one: MeasuredPasses, run: RunSpec) -> bool:
    """Return whether ``one`` is of the network of ``run``."""
    options = unweighted(run).model.options
    return one.model == run.model.name and one.model_options in ({}, options)


def _operations(one: MeasuredPasses, run: RunSpec) -> float:
    """Return the operations of a measured pass; 0: its network cannot be built here."""
    model, dataset = run.model, run.dataset
    try:
        if not _same_model(one, run):
            choice = Choice(name=one.model, options=one.model_options)
            model = resolved_choice(choice, "models")
        if one.dataset != run.dataset.name:
            dataset = resolved_choice(Choice(name=one.dataset), "datasets")
        other = run.model_copy(update={"model": model, "dataset": dataset})
        return float(network_size(other)["train_flops"] * one.batch_size)
    except BitswitchError:
        return 0.0
