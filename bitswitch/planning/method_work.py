"""What a method adds to every pass of a network, counted on small stand-ins; needs no data.

A real training step of the method runs on the processor, through two networks that differ by one
layer. What the second one has more is what the method does for a layer: so many kernels, so many
bytes for every number of its weights and of its inputs.
"""

from typing import NamedTuple

from torch import Tensor, nn

from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import StepInfo
from bitswitch.conversion import quantize
from bitswitch.nn.dataflow import FirstLast
from bitswitch.nn.model import QuantizedModel
from bitswitch.nn.recompute import quantized_once
from bitswitch.planning.devices import Work
from bitswitch.planning.probe import tell
from bitswitch.planning.traffic import EXAMPLES, Traffic
from bitswitch.runtime.randomness import generator, seeded
from bitswitch.spec.run import RunSpec
from bitswitch.training.build import Parts
from bitswitch.training.distillation import Distillation
from bitswitch.training.state import TrainState
from bitswitch.training.step import train_step
from bitswitch.training.updates.optimizers import Rates

SIDE, CHANNELS = 8, 16
"""Of images and convolutions."""
TOKENS, WIDTH = 5, 128
"""Of linear layers; scales per group divide the width."""


class MethodWork(NamedTuple):
    """Of one pass on average, beside that of the network at full precision."""

    fixed: Work
    """Kernels, whatever the network."""
    layer: Work
    """Kernels for each layer whose bit-width switches."""
    weight: Work
    """Bytes for each weight of a quantized layer."""
    value: Work
    """Bytes for each number that goes into a quantized layer, all examples together."""
    flops: float
    """Of a pass, over those of the network."""
    updates: float
    """Steps of the optimizers, for a pass."""
    recurs: bool
    """Whether each pass of a step has one bit-width, so that a graph captures it."""


class _Counted:
    """Stands for the optimizers of a run: steps are counted, and change nothing."""

    def __init__(self) -> None:
        self.steps = 0

    def step(self, rates: Rates) -> None:
        """Count a step."""
        self.steps += 1


class _Step(NamedTuple):
    """What a training step takes beside passes at full precision, for each of its passes."""

    weights: Work
    """Kernels, and bytes that do not depend on the number of examples."""
    values: Work
    """The other bytes."""
    flops: float
    """Over those of the network."""
    updates: float
    recurs: bool

    @classmethod
    def of(cls, run: RunSpec, linear: bool, layers: int) -> "_Step":
        """Take a step of ``run`` on a stand-in of so many switchable layers.

        Where convolutions are compiled, what was quantized is kept for the backward pass; eager
        layers, and compiled networks without convolutions, quantize it again.
        """
        eager = cls._taken(run, linear, layers)
        if linear:
            return eager
        with quantized_once():
            compiled = cls._taken(run, linear, layers)
        return eager._replace(
            weights=_compiled_as(eager.weights, compiled.weights),
            values=_compiled_as(eager.values, compiled.values),
        )

    @classmethod
    def _taken(cls, run: RunSpec, linear: bool, layers: int) -> "_Step":
        parts = Parts.of(run)
        batch = _batch(parts)
        net = _stand_in(parts, batch, linear, layers)
        with Traffic() as bare:
            logits = net.train()(batch.inputs)
            loss = parts.dataset.task.loss(logits, batch.targets)
            loss.backward()  # type: ignore[no-untyped-call]
        net.zero_grad()
        model = _quantized(parts, net, batch)
        memory = Distillation(run.training, EXAMPLES, parts.dataset.outputs)
        state = TrainState.of(parts.method, model.train(), run.training, memory)
        updates = _Counted()
        state.optimizers = updates  # type: ignore[assignment]
        info = StepInfo(0, 1, 0, 1, generator("probe", run.seed))
        with seeded("probe", run.seed), Traffic() as counted:
            passes = len(train_step(state, batch, run.training.learning_rate, info))
        flops = counted.rest.flops / passes / bare.rest.flops
        weights = counted.rest.times(1 / passes) + bare.rest.times(-1)
        values = counted.examples.times(1 / passes) + bare.examples.times(-1)
        recurs = all(
            one.policy is None for one in parts.method.passes(run.training, info, state.layers)
        )
        return cls(weights, values, flops, updates.steps / passes, recurs)


def _compiled_as(eager: Work, compiled: Work) -> Work:
    """Return ``eager`` with what a compiler fuses as in ``compiled``."""
    return eager._replace(
        fused_bytes=compiled.fused_bytes,
        fused_kernels=compiled.fused_kernels,
        host_kernels=compiled.host_kernels,
    )


def method_work(run: RunSpec, linear: bool) -> MethodWork:
    """Return what the method of ``run`` adds to a pass, compiled or not.

    Args:
        run: Resolved spec, quantized.
        linear: Whether most of its layers are linear.
    """
    plain = {"optimizer": "sgd", "scale_optimizer": "sgd", "compile": False, "accumulate": 1}
    plain |= {"precision": "float32", "checkpoint_activations": False, "batch_norm": "local"}
    run = run.model_copy(update={"training": run.training.model_copy(update=plain)})
    one, two = (_Step.of(run, linear, layers) for layers in (1, 2))
    layer = two.weights + one.weights.times(-1)
    values = two.values + one.values.times(-1)
    sizes = _sizes(linear, Parts.of(run))
    fixed = _kernels(one.weights + layer.times(-1))
    return MethodWork(
        fixed=fixed._replace(host_kernels=fixed.fused_kernels),
        layer=_kernels(layer),
        weight=_bytes(layer).times(1 / sizes[0]),
        value=_bytes(values).times(1 / sizes[1]),
        flops=two.flops,
        updates=two.updates,
        recurs=two.recurs,
    )


def _kernels(work: Work) -> Work:
    return work._replace(flops=0.0, product_bytes=0.0, other_bytes=0.0, fused_bytes=0.0)


def _bytes(work: Work) -> Work:
    return work._replace(flops=0.0, kernels=0.0, fused_kernels=0.0, host_kernels=0.0)


def _batch(parts: Parts) -> Batch:
    """Return a few made-up examples of the run's dataset, small ones."""
    inputs, targets, indices = parts.example(EXAMPLES)
    if inputs.dim() == 4:
        inputs = inputs[..., :SIDE, :SIDE].contiguous()
    elif inputs.dim() == 2 and not inputs.is_floating_point():
        inputs = inputs[:, :TOKENS].contiguous()
        targets = targets[:, :TOKENS].contiguous() if targets.dim() == 2 else targets
    return Batch(inputs, targets, indices)


class _Tokens(nn.Module):
    """Turns what convolutions give into tokens."""

    def forward(self, x: Tensor) -> Tensor:
        """Return [n, tokens, channels] of [n, channels, height, width]."""
        return x.flatten(2).transpose(1, 2)


class _Mean(nn.Module):
    """Averages tokens."""

    def forward(self, x: Tensor) -> Tensor:
        """Return [n, channels] of [n, tokens, channels]."""
        return x.mean(1)


def _stand_in(parts: Parts, batch: Batch, linear: bool, layers: int) -> nn.Sequential:
    """Return a network of so many layers between its first and last one."""
    inputs, outputs = batch.inputs, parts.dataset.outputs
    with seeded("stand-in"):
        first = _first(parts, inputs, linear)
        inner = [_block(linear) for _ in range(layers)]
        if not linear:
            last: list[nn.Module] = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        else:
            last = [_Mean()] if inputs.dim() == 4 else []
        head = nn.Linear(WIDTH if linear else CHANNELS, outputs)
        return nn.Sequential(first, *inner, nn.Sequential(*last, head))


def _first(parts: Parts, inputs: Tensor, linear: bool) -> nn.Module:
    """Return the first layer of a stand-in."""
    if inputs.dim() == 4 and not linear:
        return nn.Sequential(
            nn.Conv2d(inputs.shape[1], CHANNELS, 3, padding=1, bias=False),
            nn.BatchNorm2d(CHANNELS),
            nn.ReLU(),
        )
    if inputs.dim() == 4:
        return nn.Sequential(nn.Conv2d(inputs.shape[1], WIDTH, 4, 4), _Tokens())
    if inputs.is_floating_point():
        return nn.Linear(inputs.shape[-1], WIDTH)
    return nn.Embedding(parts.dataset.outputs, WIDTH)


def _block(linear: bool) -> nn.Module:
    if linear:
        return nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.GELU())
    convolution = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(CHANNELS), nn.ReLU())


def _sizes(linear: bool, parts: Parts) -> tuple[int, int]:
    """Return the weights, and the numbers that go in, of an inner layer of a stand-in."""
    if not linear:
        return CHANNELS * CHANNELS * 9, EXAMPLES * CHANNELS * SIDE * SIDE
    inputs = _batch(parts).inputs
    tokens = (SIDE // 4) ** 2 if inputs.dim() == 4 else TOKENS if inputs.dim() == 2 else 1
    return WIDTH * WIDTH, EXAMPLES * tokens * WIDTH


def _quantized(parts: Parts, net: nn.Sequential, batch: Batch) -> QuantizedModel:
    """Return a stand-in, quantized as the run says, calibrated."""
    kinds = nn.Conv2d | nn.Linear | nn.Embedding
    names = [name for name, part in net.named_modules() if isinstance(part, kinds)]
    ends = FirstLast((names[0],), (names[-1],))
    every = parts.spec.float_inputs == ("*",)
    with seeded("quantization", parts.spec.seed):
        model = quantize(
            net,
            parts.method,
            float_inputs=("*",) if every else (),
            ends=ends,
            example=batch.inputs,
        )
        parts.method.on_quantized(model, parts.dataset.outputs)
    model.calibrate([batch.inputs])
    tell(parts.method, parts.spec, model)
    return model
