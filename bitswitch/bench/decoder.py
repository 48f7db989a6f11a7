"""A decoder whose weights alone are quantized, at every bit-width of one stored integer model.

Beside it in the same run is the same network in float32. Tokens are generated one at a time, with
keys and values of those before, and a window is scored at once. Memory is what a process of its own
holds once it has loaded one bit-width.
"""

import ctypes
import gc
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import onnxruntime
import torch
from torch import Tensor, nn

from bitswitch.bench.measured import Measured
from bitswitch.bench.processes import run_python
from bitswitch.bench.step import conditions
from bitswitch.deployment import container
from bitswitch.deployment.description import CODES, SCALE, Description, LayerFacts
from bitswitch.deployment.loading import assembled, load
from bitswitch.deployment.model import IntegerModel
from bitswitch.deployment.onnx.export import float_graph_of
from bitswitch.deployment.onnx.runtime import Session
from bitswitch.deployment.onnx.step import StepSession, step_graph_of
from bitswitch.deployment.signature import Signature
from bitswitch.deployment.skeleton import build
from bitswitch.spec.run import Choice
from bitswitch.training.clock import Instant
from bitswitch.types import FLOAT_BITS

BITSET = (8, 6, 4, 2)
GROUP = 128
"""Inputs that share a scale."""
SHAPE = {"width": 2048, "ffn": 5632, "heads": 32, "kv_heads": 4}
"""Of TinyLlama's blocks."""
BLOCKS, VOCABULARY, CONTEXT = 3, 256, 128
PAST, TOKENS = 64, 8
"""Tokens before those that are generated in one measurement, and how many these are."""
ROUNDS = 7
SPEED_LIMITS = {8: 2.4, 4: 3.8, 2: 5.0}
MEMORY_LIMITS = {8: 0.30, 4: 0.17, 2: 0.11}
COLUMNS = (
    *("bits", "one token", "faster", "window of {context}", "faster", "memory", "of float32"),
    *("predictions that differ", "difference of logits"),
)


class Speed(NamedTuple):
    """Median processor time at one bit-width, 32: float32."""

    token_s: float
    window_s: float


class Parity(NamedTuple):
    """Onnxruntime beside the exact integer model, on one window of random tokens."""

    differing: int
    """Predictions that differ."""
    difference: float
    """The largest of two logits, over the largest logit."""


def measure() -> Measured:
    """Measure generation, scoring, memory and parity at every bit-width, one thread."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.safetensors"
        file.write_bytes(container.encoded(*stored()))
        model = load(file)
        speeds, parities = speeds_of(model), {bits: parity_of(model, bits) for bits in BITSET}
        memory = {bits: memory_of(file, bits) for bits in (FLOAT_BITS, *BITSET)}
    rows: list[tuple[str, ...]] = []
    figures: dict[str, float] = {}
    for bits in (FLOAT_BITS, *BITSET):
        faster = Speed(*(b / a for a, b in zip(speeds[bits], speeds[FLOAT_BITS], strict=True)))
        share = memory[bits] / memory[FLOAT_BITS]
        if bits != FLOAT_BITS:
            figures |= {f"speedup_{bits}": faster.token_s, f"memory_{bits}": share}
            figures[f"scoring_speedup_{bits}"] = faster.window_s
        rows.append(_row(bits, speeds[bits], faster, memory[bits], share, parities.get(bits)))
    rows.append(_targets())
    weights = sum(layer.codes.numel() for layer in model.snapshot(BITSET[0]).layers.values())
    title = (
        f"decoder of {weights / 1e6:.0f} M quantized weights in groups of {GROUP}, float inputs, "
        f"random; median of {ROUNDS} rounds, alternating\n"
        f"{conditions(torch.device('cpu'))}, onnxruntime {onnxruntime.__version__}"
    )
    columns = tuple(column.format(context=CONTEXT) for column in COLUMNS)
    return Measured(title, columns, tuple(rows), figures)


def _row(
    bits: int, speed: Speed, faster: Speed, memory_mib: float, share: float, parity: Parity | None
) -> tuple[str, ...]:
    name = {FLOAT_BITS: "float32", 6: "6 (kernel of 8)"}.get(bits, str(bits))
    apart = ("", "") if parity is None else (f"{parity.differing}", f"{parity.difference:.1e}")
    return (
        *(name, f"{1e3 * speed.token_s:.1f} ms", f"{faster.token_s:.2f}"),
        *(f"{1e3 * speed.window_s:.0f} ms", f"{faster.window_s:.2f}"),
        *(f"{memory_mib:.0f} MiB", f"{share:.3f}", *apart),
    )


def _targets() -> tuple[str, ...]:
    speed = " / ".join(f"{limit:g}" for limit in SPEED_LIMITS.values())
    memory = " / ".join(f"{limit:.2f}" for limit in MEMORY_LIMITS.values())
    widths = ", ".join(map(str, SPEED_LIMITS))
    return (f"target at {widths}", "", speed, "", "", "", memory, "", "")


def stored(
    blocks: int = BLOCKS, shape: Mapping[str, int] = SHAPE
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the description and tensors of a file: codes are drawn as such, no weight is float.

    Args:
        blocks: Of the decoder.
        shape: Of a block.
    """
    options = {"blocks": blocks, "context": CONTEXT, **shape}
    facts = Description(
        run="random",
        method=Choice(name="double-rounding", options={"weight_granularity": f"per-group-{GROUP}"}),
        model=Choice(name="llama", options=options),
        dataset=Choice(name="shakespeare", options={"context": CONTEXT}),
        classes=VOCABULARY,
        input=Signature(name="tokens", dtype="int64", shape=(CONTEXT,)),
        output=Signature.of_logits((CONTEXT, VOCABULARY)),
        bitset=BITSET,
        layers=(),
        norms=(),
    )
    with torch.device("meta"):
        net = build(facts)
    draw, layers = torch.Generator().manual_seed(0), []
    tensors: dict[str, Tensor] = {}
    for name, layer in net.named_modules():
        if isinstance(layer, nn.Linear) and name != "lm_head":
            layers.append(_layer(name))
            tensors |= _codes(name, layer, draw)
    for name, value in net.state_dict().items():
        if f"{name.removesuffix('.weight')}.{CODES}" not in tensors:
            tensors[name] = _floats(value, draw)
    described = facts.model_copy(update={"layers": tuple(layers)})
    return described.model_dump(mode="json"), tensors


def _layer(name: str) -> LayerFacts:
    return LayerFacts(name=name, widths=BITSET, pinned=None, rounding="half-even", signed=None)


def _codes(name: str, layer: nn.Linear, draw: torch.Generator) -> Iterator[tuple[str, Tensor]]:
    """Yield normal codes that fill their range, and scales that keep activations of size one."""
    out, inputs = layer.weight.shape
    deviation = 40.0
    codes = torch.randn(out, inputs, generator=draw).mul_(deviation).round_().clamp_(-128, 127)
    yield f"{name}.{CODES}", codes.to(torch.int8)
    scale = torch.full((1, out, inputs // GROUP), inputs**-0.5 / deviation)
    yield f"{name}.{SCALE}", scale


def _floats(value: Tensor, draw: torch.Generator) -> Tensor:
    """Return embeddings and the head as noise, factors of norms as ones."""
    if value.dim() == 1:
        return torch.ones(value.shape)
    return torch.randn(value.shape, generator=draw).mul_(value.shape[1] ** -0.5)


def speeds_of(model: IntegerModel) -> dict[int, Speed]:
    """Return how long a token and a window take in float32 and at every bit-width."""
    steps = {bits: StepSession(step_graph_of(model, bits)) for bits in (FLOAT_BITS, *BITSET)}
    tokens = _alternate({bits: partial(_generate, step) for bits, step in steps.items()})
    del steps
    windows = {bits: Session.of(model, bits) for bits in BITSET}
    windows[FLOAT_BITS] = Session(float_graph_of(model))
    text = model.facts.input.noise(1, VOCABULARY)
    scored = _alternate({bits: partial(session, text) for bits, session in windows.items()})
    return {bits: Speed(tokens[bits] / TOKENS, scored[bits]) for bits in tokens}


def _generate(step: StepSession) -> None:
    """Read some tokens one by one."""
    count, heads, _, head = step.nothing().shape
    past = torch.zeros(count, heads, PAST, head)
    for token in range(TOKENS):
        _, past = step(torch.tensor([[token]]), past)


def _alternate(work: Mapping[int, Callable[[], object]]) -> dict[int, float]:
    """Return the median processor time of each; they take turns, so that other load hits all."""
    times: dict[int, list[float]] = {name: [] for name in work}
    for number in range(ROUNDS + 1):
        for name, one in work.items():
            began = Instant.now().cpu
            one()
            if number:  # the first is a warm-up
                times[name].append(Instant.now().cpu - began)
    return {name: median(values) for name, values in times.items()}


def parity_of(model: IntegerModel, bits: int) -> Parity:
    """Return how far onnxruntime, which rounds inputs to 8 bits, is from the exact reference."""
    tokens = model.facts.input.noise(1, VOCABULARY)
    with model.at(bits):
        exact = model(tokens)
    fast = Session.of(model, bits)(tokens)
    differing = int((exact.argmax(-1) != fast.argmax(-1)).sum())
    return Parity(differing, float((exact - fast).abs().max() / exact.abs().max()))


def memory_of(file: Path, bits: int) -> float:
    """Return the MiB that a fresh process holds once it generates at ``bits``."""
    code = f"from bitswitch.bench.decoder import held; print(held({str(file)!r}, {bits}))"
    return float(run_python(code))


def held(file: str, bits: int) -> float:
    """Return by how many MiB this process grows as it loads a model at ``bits`` and reads a token.

    A tiny model is loaded before: what programs and libraries take is not the model's.
    """
    tiny = assembled(*stored(1, {"width": GROUP, "ffn": GROUP, "heads": 2, "kv_heads": 1}), Path())
    _read_one(StepSession(step_graph_of(tiny, bits)))
    before = _resident_mib()
    step = StepSession(step_graph_of(load(file), bits))
    _read_one(step)
    return _resident_mib() - before


def _read_one(step: StepSession) -> None:
    step(torch.tensor([[0]]), step.nothing())


def _resident_mib() -> float:
    """Return the memory of this process, once what is freed has been given back.

    What is mapped from files, of libraries say, is left out: the system drops it as it likes.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not say how much memory a process has")
