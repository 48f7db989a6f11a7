"""Gradient L1 regularization: a loss that small changes of weights and activations hardly move."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.contracts.card import Card, ExamplePasses, Workload
from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import Method, Pass, PassContext, StepInfo
from bitswitch.methods.lapq.clip_value import CANDIDATES, Candidates, FittedClips
from bitswitch.methods.lapq.lapq import evaluations, fit_clips, reach_values
from bitswitch.methods.lapq.powell import Budget
from bitswitch.nn.norms.shared import SharedBatchNorm
from bitswitch.quant.grid import at_least_float32
from bitswitch.quant.quantizer import Quantizer
from bitswitch.types import FLOAT_BITS, Strict

if TYPE_CHECKING:
    from bitswitch.nn.model import QuantizedModel
    from bitswitch.spec.run import RunSpec
    from bitswitch.spec.training import TrainingSpec


class L1Regularization(Method):
    """Float training with a penalty on the L1 norm of gradients, then quantization.

    Rounding moves every value by up to half a step; to first order, the loss changes by at most
    that times the L1 norm of its gradient. The penalty is differentiated by a second backward
    pass through the first: exact and without a parameter, where a finite difference would need
    a step size and two more forward passes.
    """

    source = "alizadeh2020gradient"
    card: ClassVar[Card] = Card(
        title="Gradient L1 Regularization",
        fidelity="equations",
        storage="floats",
        licence="no public code",
        left_open="The strengths are chosen per network in the publication, from a grid; here "
        "they are 0.05 for weights and activations everywhere. They are bounds of the "
        "quantization noise to first order. The penalty is on during the whole training.",
        deviations="Clip values of the quantized network are found as for KURE (LAPQ), so that "
        "the two differ in their penalty alone; ranges up to the largest magnitude are an "
        "option. Only layers that will be quantized are penalised.",
    )

    needs_whole_batch = True

    class Options(Strict):
        """What the publication calls lambda, and how the network is quantized afterwards."""

        weight_strength: NonNegativeFloat = 0.05
        """Factor on the L1 norm of the gradient of the loss by all quantized weights."""
        activation_strength: NonNegativeFloat = 0.05
        """The same by all quantized inputs of layers."""
        clips: Literal["lapq", "max"] = "lapq"
        """``max``: every grid reaches the largest magnitude that it quantizes."""
        images: PositiveInt = 512
        """Training images on which clip values are found."""
        iterations: NonNegativeInt | None = 2
        """Of Powell's method for each bit-width; 0: the best start is taken; None: until it
        converges."""
        evaluations: PositiveInt | None = None
        """Powell's method stops after so many measurements of the loss; None: no limit."""
        candidates: Candidates = CANDIDATES
        """Clip values that are tried for the least error of each operand, before Powell's method:
        1 to 0.01 times the largest magnitude, the widest first."""

    options: Options

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        return FittedClips(self.bitset, weight)

    def activation_quantizer(self) -> Quantizer:
        return FittedClips(self.bitset)

    def normalization(self, norm: _BatchNorm) -> nn.Module:
        return SharedBatchNorm(norm, self.bitset)

    def on_quantized(self, model: "QuantizedModel", outputs: int) -> None:
        """Have the inputs of quantized layers noted: their gradients are penalised."""
        if self.options.activation_strength:
            model.memory = inputs = _Inputs()
            for layer in model.layers.values():
                layer.register_forward_pre_hook(inputs.note)

    def passes(
        self, training: "TrainingSpec", step_info: StepInfo, layers: Sequence[str]
    ) -> list[Pass]:
        return [Pass(FLOAT_BITS, update=training.update == "separate")]

    def loss(self, context: PassContext) -> Tensor:
        """Return the task's loss plus the L1 norms of its gradients.

        Source: alizadeh2020gradient (regularization objective).
        """
        loss, options = super().loss(context), self.options
        layers, memory = list(context.model.layers.values()), context.model.memory
        weights = [layer.weight for layer in layers] if options.weight_strength else []
        inputs = [memory.seen.pop(one) for one in layers] if isinstance(memory, _Inputs) else []
        if not weights and not inputs:
            return loss
        # The graph of the first backward pass is kept, and so can be differentiated.
        gradients = torch.autograd.grad(loss, [*weights, *inputs], create_graph=True)
        norms = torch.stack([at_least_float32(gradient.abs()).sum() for gradient in gradients])
        pairs = ((weights, options.weight_strength), (inputs, options.activation_strength))
        strengths = [norms.new_full((len(some),), strength) for some, strength in pairs]
        return loss + norms @ torch.cat(strengths)

    def finish(self, model: "QuantizedModel", batches: Callable[[], Iterator[Batch]]) -> None:
        options = self.options
        pairs = ((batch.inputs, batch.targets) for batch in batches())
        if options.clips == "max":
            reach_values(model, pairs, options.images)
        else:
            budget = Budget(options.iterations, options.evaluations)
            fit_clips(model, pairs, options.images, budget, self.task.loss_sum, options.candidates)

    def finish_work(self, extent: Workload) -> ExamplePasses:
        options = self.options
        images = min(options.images, extent.epoch_examples)
        if options.clips == "max":
            return ExamplePasses(forward=images)
        budget = Budget(options.iterations, options.evaluations)
        return ExamplePasses(forward=len(self.bitset) * evaluations(extent.layers, budget) * images)

    def skip(self, spec: "RunSpec") -> str | None:
        if spec.training.distillation != "none":
            return "It trains in one pass per step: there is nobody to learn from."
        return None


class _Inputs(nn.Module):
    """Inputs of layers in the present training pass."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[nn.Module, Tensor] = {}

    def note(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Keep the input of ``layer`` if there will be a backward pass."""
        if layer.training and inputs[0].requires_grad:
            self.seen[layer] = inputs[0]
