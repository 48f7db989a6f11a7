"""What quantizers compute on the device, beside float64 on the processor.

Where a value lies so close to the edge between two codes, or to the end of a range, that rounding
in float32 decides on which side, device and reference may rightly differ. Such values are found by
moving all of them a little to either side, and left out. Zeros are exact, and stay.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, get_args

import torch
from torch import Tensor, nn

from bitswitch.bench.gpu.process import NO_TIME
from bitswitch.bench.gpu.setting import SHORT, Finding, LeftOut, Setting, failed, within
from bitswitch.deployment.narrowing import RoundingRule, narrow
from bitswitch.deployment.packing import pack, unpack
from bitswitch.errors import EncodingError
from bitswitch.methods.matquant.sliced_grid import Slices, on_sliced_grid
from bitswitch.methods.mbquant.interval import on_interval
from bitswitch.plugins import registry
from bitswitch.quant import integer
from bitswitch.quant.clipped_grid import on_clipped_grid
from bitswitch.quant.granularity import PER_TENSOR, PerChannel, PerGroup
from bitswitch.quant.grid import ROUNDINGS
from bitswitch.quant.quantizer import Codes, Width
from bitswitch.quant.shifted_grid import on_shifted_grid
from bitswitch.quant.ste import on_grid
from bitswitch.quant.tanh_grid import Rescale, Scheme, on_tanh_grid
from bitswitch.results.device_bench import Check
from bitswitch.runtime.randomness import generator
from bitswitch.testing.deployment import Operand, operands
from bitswitch.testing.subject import Subject
from bitswitch.types import MAX_BITS, MIN_BITS, BitSet

CPU = torch.device("cpu")
BITSET: BitSet = (8, 4, 2)
MOVED = 1e-5
"""Share of a value, and of the mean magnitude, by which values are moved to find edges."""
MOST_EDGES = 0.1
"""Share of values that may be left out."""
VALUES, TO_INPUTS, TO_PARAMETERS = 1e-5, 1e-5, 2e-4
"""Largest errors of what is quantized, of gradients to it, and of those to scales and the like,
which are sums, over the largest magnitude of each."""
ROLLED = (1, 2, 3)
"""Places by which the weights of a sum are moved, to learn how large such sums are."""
NOISE = 0.05
"""Standard deviations of the weights that are added to what finished networks have."""
LARGE, SMALL = (128, 64, 3, 3), (16, 8, 3, 3)
"""Shapes of tensors for the straight-through functions, on a GPU and to try it out."""

Made = tuple[Callable[[Tensor], Tensor], Mapping[str, Tensor]]
"""A function of the values to quantize, and the parameters that it has besides."""


@dataclass(frozen=True)
class Kernel:
    """One function to check."""

    name: str
    values: Tensor
    """float32, on the processor."""
    make: Callable[[torch.device, torch.dtype], Made]
    is_trained: bool = True
    """Whether gradients are checked."""


class Answer(NamedTuple):
    """What a kernel gives, on the processor in float64."""

    values: Tensor
    to_inputs: Tensor
    to_parameters: dict[str, Tensor]


def measure(setting: Setting) -> Iterator[Finding]:
    """Check integers, straight-through functions, then the quantizers of every method."""
    yield from integers(setting.device)
    for kernel in functions(SMALL if setting.is_trial else LARGE):
        yield from checked(kernel, setting.device)
    for name in registry.names("methods"):
        if name == "float32":
            continue
        if not setting.has(0.0):
            yield LeftOut(text=f"quantizers of {name}: {NO_TIME}")
            continue
        yield from quantizers(name, setting.device)


def checked(kernel: Kernel, device: torch.device) -> Iterator[Check]:
    """Check values and gradients of one kernel; an error is a finding."""
    try:
        yield from compared(kernel, device)
    except Exception as error:
        yield failed(kernel.name, error)


def compared(kernel: Kernel, device: torch.device) -> Iterator[Check]:
    """Compare one kernel on ``device`` with float64 on the processor."""
    draw = generator("bench kernels", kernel.name)
    weights = torch.randn(kernel.values.shape, generator=draw)
    signs = torch.randint(2, kernel.values.shape, generator=draw) * 2 - 1
    exact = kernel.values.double()
    moved = (exact.abs() + exact.abs().mean()) * MOVED * signs * (exact != 0)
    ones = torch.ones_like(exact)
    sides = [answer(kernel, exact + by, ones, CPU) for by in (moved, -moved)]
    edges = _differ(*(side.values for side in sides)) | _differ(*(side.to_inputs for side in sides))
    yield within(
        f"{kernel.name}, edges", edges.double().mean().item(), MOST_EDGES, "a share of values of"
    )
    weights[edges] = 0
    wanted = answer(kernel, exact, weights.double(), CPU)
    found = answer(kernel, kernel.values, weights, device)
    wanted.values[edges] = found.values[edges] = 0
    yield _close(f"{kernel.name}, values", found.values, wanted.values, VALUES)
    if not kernel.is_trained:
        return
    yield _close(f"{kernel.name}, gradient", found.to_inputs, wanted.to_inputs, TO_INPUTS)
    others = [
        answer(kernel, exact, weights.double().roll(by, 0), CPU).to_parameters for by in ROLLED
    ]
    for name, gradient in wanted.to_parameters.items():
        own, alike = found.to_parameters[name], [one[name] for one in others]
        title = f"{kernel.name}, gradient to {name}"
        yield _close(title, own, gradient, TO_PARAMETERS, alike)


def answer(kernel: Kernel, values: Tensor, weights: Tensor, device: torch.device) -> Answer:
    """Return what ``kernel`` gives on ``device``, as precise as ``values`` are.

    Args:
        kernel: Whatever computes it.
        values: To quantize.
        weights: Of the values that it gives, in the sum whose gradients are taken.
        device: Where.
    """
    function, parameters = kernel.make(device, values.dtype)
    inputs = values.to(device, copy=True).requires_grad_()
    quantized = function(inputs)
    learned = {name: one for name, one in parameters.items() if one.requires_grad}
    gradients = torch.autograd.grad(
        (quantized * weights.to(device)).sum(),
        [inputs, *learned.values()],
        allow_unused=True,
        materialize_grads=True,
    )
    to_inputs, *rest = (one.detach().cpu().double() for one in gradients)
    return Answer(
        quantized.detach().cpu().double(), to_inputs, dict(zip(learned, rest, strict=True))
    )


def _differ(first: Tensor, second: Tensor) -> Tensor:
    """Return where two answers are apart by more than what moves with the values."""
    return (first - second).abs() > 100 * MOVED * (first.abs() + first.abs().mean())


def _close(
    name: str, found: Tensor, wanted: Tensor, limit: float, alike: Sequence[Tensor] = ()
) -> Check:
    """Return whether both are close, measured by the largest of what is wanted.

    Args:
        name: Of the check.
        found: On the device.
        wanted: By the reference.
        limit: Of the difference over the largest magnitude.
        alike: What else is as large as ``wanted``, which may be a sum that comes close to zero.
    """
    largest = max(one.abs().max().item() for one in (wanted, *alike))
    largest = max(largest, torch.finfo(torch.float32).tiny)
    return within(name, (found - wanted).abs().max().item() / largest, limit, "it is off by")


def quantizers(method: str, device: torch.device) -> Iterator[Check]:
    """Check all that ``method`` quantizes in a small network that it has trained and finished."""
    try:
        subject = Subject.of(method, SHORT.get(method))
        for bits in subject.bitset:
            for one in operands(subject, subject.deployed, bits):
                name = f"{method}, {one.place}"
                yield from checked(_of_operand(name, one, subject.method().trains), device)
                yield from _codes(name, one, device, subject)
    except Exception as error:
        yield failed(f"quantizers of {method}", error)


def _of_operand(name: str, one: Operand, trains: bool) -> Kernel:
    """Return what quantizes ``one``.

    Args:
        name: For messages.
        one: A weight or an input.
        trains: Whether its method takes training steps; one that does not may leave weights on
            their grids, where rounding decides whether a gradient passes the end of a range.
    """

    def make(device: torch.device, dtype: torch.dtype) -> Made:
        quantizer = copy.deepcopy(one.quantizer).to(device, dtype)
        return lambda values: quantizer(values, one.width), dict(quantizer.named_parameters())

    is_trained = trains or not one.place.startswith("weight")
    return Kernel(name, _off_grid(one), make, is_trained)


def _off_grid(one: Operand) -> Tensor:
    """Return the values of ``one``; weights lie on their grids no more, as in training."""
    values = one.values.float()
    if not one.place.startswith("weight"):
        return values
    noise = torch.randn(values.shape, generator=generator("bench weights", one.place))
    return values + NOISE * values.std() * noise


def _codes(name: str, one: Operand, device: torch.device, subject: Subject) -> Iterator[Check]:
    """Check that what is deployed on the device is what trains there, bit for bit."""
    quantizer = copy.deepcopy(one.quantizer).to(device)
    values = one.values.float().to(device)
    try:
        codes = quantizer.encode(values, one.width)
    except EncodingError:  # values that are in tables
        return
    apart = int((codes.decode() != quantizer(values, one.width).detach()).sum())
    yield _exact(f"{name}, codes", apart)
    if "weight" in one.place and subject.method().storage == "codes":
        stored = quantizer.encode(values, Width.of(subject.bitset[0], subject.bitset))
        here = one.quantizer.narrow(_on_cpu(stored), one.width).values
        there = quantizer.narrow(stored, one.width).values.cpu()
        yield _exact(f"{name}, narrowed", int((here != there).sum()))


def _on_cpu(codes: Codes) -> Codes:
    zero_point = codes.zero_point
    moved = zero_point.cpu() if isinstance(zero_point, Tensor) else zero_point
    return Codes(codes.values.cpu(), codes.scale.cpu(), moved)


def _exact(name: str, apart: int) -> Check:
    problem = f"{apart} of the integers are others" if apart else None
    return Check(name=name, problem=problem, error=float(apart), limit=0.0)


SHIFTS: dict[RoundingRule, Callable[[Tensor, int], Tensor]] = {
    "half-even": integer.shift_half_even,
    "cascade": integer.cascade_half_even,
    "half-up": integer.shift_half_up,
    "floor": lambda codes, shift: codes >> shift,
}
"""The same by operations on 32 bits; ``narrow`` clips too."""


def integers(device: torch.device) -> Iterator[Check]:
    """Check narrowing and packing of all codes of 8 bits, exactly."""
    low, high = integer.signed_range(MAX_BITS)
    every = list(range(low, high + 1))
    codes = torch.tensor(every, dtype=torch.int8, device=device)
    for bits, (rule, shifted) in product(range(MIN_BITS, MAX_BITS + 1), SHIFTS.items()):
        name = f"narrowing to {bits} bits, {rule}"
        shift = MAX_BITS - bits
        try:
            largest = integer.signed_range(bits)[1]
            wanted = [min(_narrowed(code, shift, rule), largest) for code in every]
            by_words = shifted(codes.int(), shift).clamp(max=largest)
            narrowed = narrow(codes, MAX_BITS, bits, rule)
            bytes_apart = sum(a != b for a, b in zip(narrowed.tolist(), wanted, strict=True))
            words_apart = sum(a != b for a, b in zip(by_words.tolist(), wanted, strict=True))
            yield _exact(name, bytes_apart + words_apart)
            again = unpack(pack(narrowed.cpu(), bits), bits, len(every))
            yield _exact(f"packing {bits} bits, {rule}", int((again != narrowed.cpu()).sum()))
        except Exception as error:
            yield failed(name, error)


def _narrowed(code: int, shift: int, rule: RoundingRule) -> int:
    """Return one narrow code, by Python's own integers."""
    if rule == "cascade":
        for _ in range(shift):
            code = _narrowed(code, 1, "half-even")
        return code
    whole = 1 << shift
    if rule == "floor":
        return code // whole
    if rule == "half-up":
        return (2 * code + whole) // (2 * whole)
    return round(code / whole)  # exact, and Python rounds ties to even


def functions(shape: tuple[int, ...]) -> Iterator[Kernel]:
    """Yield every straight-through function at all its settings, on weights of ``shape``."""
    draw = generator("bench functions")
    values = torch.randn(shape, generator=draw)
    widths = [Width.of(bits, BITSET) for bits in BITSET]
    for granularity, width in product((PER_TENSOR, PerChannel(), PerGroup(4)), widths):
        scale = granularity.reduce(values.abs(), torch.mean) * 2 / float(width.signed_high) ** 0.5
        wide = scale / float(width.ratio)
        bounds = width.signed_low, width.signed_high
        half = -float(width.signed_low) * float(width.ratio)
        for rounding in ROUNDINGS:
            yield _function(
                f"on_grid {rounding}, {granularity}, {width.bits} bit",
                lambda x, scale, r=rounding, w=width: on_grid(
                    x, scale, w.signed_low, w.signed_high, r, w.ratio
                ),
                values,
                {"scale": scale},
            )
        zeros = scale * 0.3
        yield _function(
            f"on_shifted_grid, {granularity}, {width.bits} bit",
            lambda x, scale, zero_point, b=bounds: on_shifted_grid(x, scale, zero_point, *b),
            values,
            {"scale": scale, "zero point": zeros},
        )
        slices = Slices(-half, half - 1, width.ratio, width.signed_high)
        yield _function(
            f"on_sliced_grid, {granularity}, {width.bits} bit",
            lambda x, scale, zero_point, s=slices: on_sliced_grid(x, scale, zero_point, s),
            values,
            {"scale": wide, "zero point": wide * 0.3},
        )
    yield from _without_granularity(values, widths)


def _without_granularity(values: Tensor, widths: list[Width]) -> Iterator[Kernel]:
    """Yield the functions whose grid is one for the whole tensor."""
    clip = torch.tensor(1.3)
    for width in widths:
        levels, half = width.unsigned_high, -width.signed_low
        for signed in (False, True):
            yield _function(
                f"on_clipped_grid, {'signed' if signed else 'unsigned'}, {width.bits} bit",
                lambda x, clip, s=signed, n=levels, h=half: on_clipped_grid(x, clip, s, n, h),
                values,
                {"clip": clip},
            )
        yield _function(
            f"on_interval, {width.bits} bit",
            lambda x, scale, n=levels: on_interval(
                x, scale, torch.zeros((), dtype=x.dtype, device=x.device), n, 2 / n, -1.0
            ),
            values,
            {"scale": torch.tensor([1.2, 0.9])},
        )
        for scheme, rescale in product(get_args(Scheme), get_args(Rescale)):
            yield _function(
                f"on_tanh_grid {scheme}, rescale {rescale}, {width.bits} bit",
                lambda x, s=scheme, r=rescale, n=levels, h=half: on_tanh_grid(x, s, r, n, h),
                values,
                {},
            )


def _function(
    name: str,
    function: Callable[..., Tensor],
    values: Tensor,
    parameters: Mapping[str, Tensor],
) -> Kernel:
    def make(device: torch.device, dtype: torch.dtype) -> Made:
        own = {
            name: nn.Parameter(value.to(device, dtype, copy=True))
            for name, value in parameters.items()
        }
        return lambda values: function(values, *own.values()), own

    return Kernel(name, values, make)
