"""GPUs whose published peaks are known, and how long work takes on one at least."""

from functools import cache
from typing import Literal, NamedTuple

from pydantic import Field, PositiveFloat

from bitswitch.assets import asset
from bitswitch.errors import DeviceError, hint
from bitswitch.results.device_bench import slug
from bitswitch.spec.yaml_files import explained, read_yaml
from bitswitch.types import Strict

FILE = ("data", "devices.yaml")
DEFAULT = "h100"
"""What is assumed where no GPU is at hand, and none is named."""
HALF = 0.5
"""Bytes of a product in 16 bits, over those in float32."""

Bound = Literal["flop", "bytes", "launches"]


class Work(NamedTuple):
    """What a device has to do."""

    flops: float = 0.0
    """Of products of matrices and convolutions; a multiplication and an addition are two."""
    product_bytes: float = 0.0
    """Read and written by these, in float32."""
    other_bytes: float = 0.0
    """Read and written by everything else, one kernel at a time."""
    kernels: float = 0.0
    fused_bytes: float = 0.0
    """As ``other_bytes``, of kernels that a compiler has fused."""
    fused_kernels: float = 0.0
    host_kernels: float = 0.0
    """Of the fused ones, those that no graph captures."""
    host_s: float = 0.0
    """What Python takes besides launching these, where passes are captured."""

    def __add__(self, other: object) -> "Work":
        """Return both, one after the other."""
        if not isinstance(other, Work):
            return NotImplemented
        return Work(*(one + two for one, two in zip(self, other, strict=True)))

    def times(self, count: float) -> "Work":
        """Return the same, so many times."""
        return Work(*(one * count for one in self))

    @classmethod
    def moving(cls, size: float, kernels: float) -> "Work":
        """Return so many kernels that read and write ``size`` bytes, alone."""
        return cls(0.0, 0.0, size, kernels, size, kernels, kernels)


class Mode(NamedTuple):
    """How runs use a GPU."""

    captured: bool = False
    """Training is compiled, and its passes captured: kernels are fused, and launched together."""
    runs: int = 1
    """That share the GPU."""


class Attainable(Strict):
    """What software leaves of the peaks of a device."""

    flops: PositiveFloat = Field(le=1)
    bandwidth: PositiveFloat = Field(le=1)
    eager_kernel_s: PositiveFloat
    """What the host takes to launch a kernel."""
    captured_kernel_s: PositiveFloat
    """Of the shortest kernel, on the device."""
    captured_layer_s: PositiveFloat
    """What Python takes for a layer that may be quantized, in a pass that a graph replays."""
    captured_switch_s: PositiveFloat
    """The same besides, for one whose bit-width switches."""


class Device(Strict):
    """Published peaks of one GPU."""

    name: str
    products: list[str]
    """What its driver calls it; others of the same family have other peaks."""
    memory_gb: PositiveFloat
    bandwidth: PositiveFloat
    """Bytes per second."""
    flops: dict[str, PositiveFloat]
    """Operations per second by precision, dense; where one is missing, that of float32."""
    source: str


class Known(Strict):
    """The whole file."""

    attainable: Attainable
    devices: dict[str, Device]


class Duration(NamedTuple):
    """How long something takes at least, and why."""

    time_s: float
    bound: Bound


@cache
def known() -> Known:
    """Return the devices that come with the package."""
    path = asset(*FILE)
    with explained(str(path)):
        return Known.model_validate(read_yaml(path))


def device(name: str) -> Device:
    """Return the device called ``name``, here or by its driver.

    Raises:
        DeviceError: nothing is known of it.
    """
    devices = known().devices
    key = name if name in devices else called(name)
    if key is None:
        raise DeviceError(
            f"Nothing is known of a device '{name}'.{hint(name.lower(), devices)}\n"
            f"  known: {', '.join(devices)}; or name a file that `bitswitch bench gpu` wrote."
        )
    return devices[key]


def called(product: str) -> str | None:
    """Return what the device that its driver calls ``product`` is called here; None: not known.

    >>> called("NVIDIA H100 80GB HBM3"), called("NVIDIA H100 PCIe"), called("NVIDIA GH200 480GB")
    ('h100', None, None)
    """
    for name, one in known().devices.items():
        if slug(product) in map(slug, one.products):
            return name
    return None


def roofline(on: Device, work: Work, precision: str, mode: Mode) -> Duration:
    """Return how long ``work`` takes at least: its operations, its bytes, or its launches.

    Where several runs share the GPU, the time is that of one, divided by what they overlap: hosts
    launch side by side, but the device does one thing at a time. While it replays what was
    captured, the host prepares the next pass; so it takes no longer than launching all by itself.
    """
    left = known().attainable
    share = HALF if precision == "bfloat16" else 1.0
    other, kernels = work.other_bytes, work.kernels
    launch_s = max(left.eager_kernel_s / mode.runs, left.captured_kernel_s)
    launches_s = kernels * launch_s
    if mode.captured:
        other, kernels = min(other, work.fused_bytes), min(kernels, work.fused_kernels)
        launched = min(kernels, work.host_kernels)
        replayed_s = (kernels - launched) * left.captured_kernel_s
        replayed_s = max(replayed_s, work.host_s / mode.runs)
        launches_s = min(launches_s, launched * launch_s + replayed_s)
    rate = on.flops.get(precision, on.flops["float32"])
    terms: dict[Bound, float] = {
        "flop": work.flops / (rate * left.flops),
        "bytes": (work.product_bytes * share + other) / (on.bandwidth * left.bandwidth),
        "launches": launches_s,
    }
    bound = max(terms, key=lambda name: terms[name])
    return Duration(terms[bound], bound)


def roofline_note(on: Device) -> str:
    """Return by what ``roofline`` goes, and who says so."""
    left = known().attainable
    rates = ", ".join(f"{rate / 1e12:,.0f} {name}" for name, rate in on.flops.items())
    return (
        f"roofline: the longest of flop, bytes and launches of a pass, at {left.flops:.0%} of "
        f"{rates} TFLOP/s and {left.bandwidth:.0%} of {on.bandwidth / 1e12:.2f} TB/s "
        f"({on.source}); {left.eager_kernel_s * 1e6:.0f} us for the host to launch a kernel, "
        f"{left.captured_kernel_s * 1e6:.0f} us for the device to run the shortest; of a captured "
        f"pass, {left.captured_layer_s * 1e6:.0f} us of Python for a layer, and "
        f"{left.captured_switch_s * 1e6:.0f} more where it switches"
    )
