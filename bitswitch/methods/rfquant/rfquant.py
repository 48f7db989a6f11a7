"""RFQuant: random bit-widths per layer, and remedies for weights that they pull apart."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.contracts.card import Card, ExamplePasses, Recipe, Workload
from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import Method, Pass, PassContext, StepInfo
from bitswitch.methods.rfquant.averaging import ParameterAverage
from bitswitch.methods.rfquant.coupling import clipped_energy, coupled_error, instability
from bitswitch.methods.rfquant.coupling_schedule import (
    begun_epochs,
    dropped_share,
    error_weight,
    largest,
)
from bitswitch.methods.rfquant.distortion import OutputDistortion
from bitswitch.nn.layers import QuantizedLayer
from bitswitch.nn.model import QuantizedModel
from bitswitch.nn.norms.pairs import BatchNormGrid
from bitswitch.nn.recalibration import recalibrate
from bitswitch.quant.lsq import ActivationQuantizer, WeightQuantizer
from bitswitch.quant.quantizer import Quantizer, Width
from bitswitch.runtime import transfers
from bitswitch.types import MAX_BITS, MIN_BITS, BitSet, Strict

if TYPE_CHECKING:
    from bitswitch.spec.run import RunSpec
    from bitswitch.spec.training import TrainingSpec

AVERAGING = 3e-4 * 150 * 2502
"""Weight of the newest parameters in their moving average (one minus 0.9997), times the steps of
the published training: 150 epochs of 2502 steps."""
SPARED_BITS = 2
"""Weights of this bit-width are spared from weight decay inside their range."""
RECALIBRATION_IMAGES = 7000


class _Memory(nn.Module):
    """What the training remembers from step to step."""

    dropped: Tensor
    """Whether a layer does without its narrowest bit-width for now, bool [layers]."""

    def __init__(self, model: QuantizedModel) -> None:
        super().__init__()
        self.register_buffer("dropped", torch.zeros(len(model.layers), dtype=torch.bool))
        self.known = [False] * len(model.layers)  # the same, known without asking the device
        self.average = ParameterAverage(model.parameters())

    def drop(self, dropped: list[bool]) -> None:
        """Choose anew which layers do without their narrowest bit-width."""
        self.known = dropped
        self.dropped.copy_(torch.tensor(dropped))

    def _load_from_state_dict(self, *args: Any, **options: Any) -> None:
        """Load as every module does, and note which layers they are."""
        super()._load_from_state_dict(*args, **options)
        self.known = transfers.to_host(self.dropped)


class RFQuant(Method):
    """Weights that all bit-widths share, trained on random policies and the widest bit-width."""

    source = "tang2024retraining"
    card: ClassVar[Card] = Card(
        title="RFQuant",
        fidelity="vectors",
        storage="floats",
        licence="MIT",
        left_open="Schedules are given in epochs of a training of 150 (moving average: in steps); "
        "here they are the same shares of any training.",
        deviations="Only the training is here; networks are evaluated at one bit-width for all "
        "layers, not at searched policies. Depthwise layers take every bit-width, 2 bit included. "
        "Inputs are signed where a negative value was observed, instead of in layers named in "
        "advance. Batch norms before the first quantized layer have one copy.",
    )
    published_recipes: ClassVar[dict[str, Recipe]] = {
        "imagenet": Recipe(
            options={"first_last_bits": 8},
            training={
                "epochs": 150,
                "batch_size": 512,
                "optimizer": "sgd",
                "learning_rate": 0.04,
                "momentum": 0.9,
                "nesterov": True,
                "weight_decay": 2.5e-5,
                "schedule": "cosine",
                "milestones": (),
                "warmup_epochs": 5,
                "scale_optimizer": "adam",
                "scale_learning_rate": 1e-5,
                "clip_value": 1.0,
            },
        )
    }

    class Options(Strict):
        """Defaults as published."""

        paths: PositiveInt = 3
        """Random policies per step, besides the widest bit-width."""
        distortion_weight: NonNegativeFloat = 0.01
        """Of the difference between batch-norm outputs and those at the widest bit-width; 0 saves
        the memory that these take."""
        error_weight: NonNegativeFloat = 0.1
        """Of quantization errors, at the end of the training."""
        cancel_decay: bool = True
        """Spare 2-bit weights from weight decay inside their range."""
        drop_bits: bool = True
        """Keep the narrowest bit-width from layers with unstable weights for a while."""
        average: bool = True
        """Evaluate the moving average of all parameters."""
        first_last_bits: Annotated[int, Field(ge=MIN_BITS, le=MAX_BITS)] | None = None
        """Of the first and last layer; the publication has 8. None: full precision."""

    options: Options
    _weight_decay = 0.0

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        return WeightQuantizer(weight, self.bitset, gradient_scale=False, init="three-sigma")

    def activation_quantizer(self) -> Quantizer:
        return ActivationQuantizer(self.bitset, init="mean", gradient_scale=False)

    def normalization(self, norm: _BatchNorm) -> nn.Module:
        return BatchNormGrid(norm, self.bitset)

    def on_quantized(self, model: QuantizedModel, outputs: int) -> None:
        """Find the batch norms behind every layer, and make room for what is remembered."""
        self._layer_before, norms = {}, {}
        for name, followed in model.followed.items():
            module, layer = model.net.get_submodule(name), followed.layer
            if isinstance(module, BatchNormGrid):
                module.alone = layer is None
                if layer is not None:
                    self._layer_before[name], norms[name] = layer, module
        self._distortion = OutputDistortion(norms if self.options.distortion_weight else {})
        model.memory = self._memory = _Memory(model)

    def passes(
        self, training: "TrainingSpec", step_info: StepInfo, layers: Sequence[str]
    ) -> list[Pass]:
        self._weight_decay = training.weight_decay
        update = training.update == "separate"
        choices = self._choices(layers)
        passes = [Pass(self.bitset[0], update=update, setup=lambda _: self._distortion.keep())]
        for _ in range(self.options.paths):
            policy = _draw(choices, self.bitset, step_info.generator)
            setup = self._comparison(policy, choices)
            passes.append(
                Pass(None, policy, teacher=0, distill_weight=0.5, update=update, setup=setup)
            )
        return passes

    def loss(self, context: PassContext) -> Tensor:
        model, step_info, options = context.model, context.step_info, self.options
        if context.current.policy is None:
            self._average(model, step_info)
            loss = super().loss(context) + self._penalties(model, 0.0)
        else:
            error = options.error_weight * error_weight(step_info.progress)
            distortion = options.distortion_weight * self._distortion.take()
            loss = super().loss(context) + self._penalties(model, error) + distortion
        if len(context.previous_logits) == options.paths:
            self._distortion.clear()
            self._schedule(context)
        return loss

    def finish(self, model: QuantizedModel, batches: Callable[[], Iterator[Batch]]) -> None:
        """Take the averaged parameters, and measure the statistics of batch norm anew."""
        if self.options.average:
            self._memory.average.add(model.parameters())
            self._memory.average.restore(model.parameters())

        def images() -> Iterator[Tensor]:
            left = RECALIBRATION_IMAGES
            for batch in batches():
                yield batch.inputs
                left -= len(batch.inputs)
                if left <= 0:
                    return

        recalibrate(model, images)

    def finish_work(self, extent: Workload) -> ExamplePasses:
        return ExamplePasses(
            forward=len(self.bitset) * min(RECALIBRATION_IMAGES, extent.epoch_examples)
        )

    def skip(self, spec: "RunSpec") -> str | None:
        if spec.training.distillation != "none":
            return "RFQuant distils from its own widest pass; training.distillation must be none"
        if spec.training.accumulate > 1:
            return "it looks for instable layers in whole batches: training.accumulate must be 1"
        return None

    def _choices(self, layers: Sequence[str]) -> dict[str, BitSet]:
        """Return the bit-widths that the weights of each layer may take for now."""
        fewer = self.bitset[:-1] or self.bitset
        pairs = zip(layers, self._memory.known, strict=True)
        return {name: fewer if dropped else self.bitset for name, dropped in pairs}

    def _comparison(
        self, policy: Mapping[str, tuple[int, int]], choices: Mapping[str, BitSet]
    ) -> Callable[[QuantizedModel], None]:
        """Return the setup of a pass: compare behind layers at their narrowest bit-width."""
        narrowest = {name for name, (bits, _) in policy.items() if bits == choices[name][-1]}
        norms = {norm for norm, layer in self._layer_before.items() if layer in narrowest}
        return lambda _: self._distortion.compare(norms)

    def _penalties(self, model: QuantizedModel, error: float) -> Tensor | float:
        """Return what the weights of all layers add to the loss, at the bit-widths in use.

        Args:
            model: Switched.
            error: Weight of quantization errors.
        """
        total: Tensor | float = 0.0
        choices = self._choices(list(model.layers))
        for name, layer in model.layers.items():
            width, quantizer = layer.weight_switch.width, layer.weight_quantizer
            assert width is not None
            assert isinstance(quantizer, WeightQuantizer)
            if self.options.cancel_decay and width.bits == SPARED_BITS:
                spared = clipped_energy(layer.weight, quantizer, width)
                total = total - self._weight_decay * spared
            if error:
                narrowest = Width.of(choices[name][-1], self.bitset)
                total = total + error * coupled_error(layer.weight, quantizer, width, narrowest)
        return total

    def _average(self, model: QuantizedModel, step_info: StepInfo) -> None:
        """Count the parameters that the step before left."""
        if step_info.step == 0:
            self._memory.average.start(model.parameters(), min(1.0, AVERAGING / step_info.steps))
        else:
            self._memory.average.add(model.parameters())

    def _schedule(self, context: PassContext) -> None:
        """Choose anew, when it is time, which layers do without their narrowest bit-width."""
        step_info, layers = context.step_info, context.model.layers
        shares = [dropped_share(epoch) for epoch in begun_epochs(step_info.step, step_info.steps)]
        due = [share for share in shares if share is not None]
        if due and layers and self.options.drop_bits:

            def choose(found: list[float]) -> None:
                self._memory.drop(largest(found, due[-1]))

            context.request(self._instabilities(layers), choose)

    def _instabilities(self, layers: Mapping[str, QuantizedLayer]) -> Tensor:
        """Return how unstable the weights of every layer are [layers]."""
        found = []
        choices = self._choices(list(layers))
        for name, layer in layers.items():
            assert isinstance(layer.weight_quantizer, WeightQuantizer)
            widths = [Width.of(bits, self.bitset) for bits in choices[name]]
            found.append(instability(layer.weight, layer.weight_quantizer, widths))
        return torch.stack(found)


def _draw(
    choices: Mapping[str, BitSet], bitset: BitSet, generator: torch.Generator
) -> dict[str, tuple[int, int]]:
    """Return (weight, activation) bit-widths for every layer, drawn evenly and independently.

    Args:
        choices: Of the weights, by layer.
        bitset: Of the activations.
        generator: On the CPU.
    """
    draws = torch.rand(len(choices), 2, generator=generator).tolist()
    return {
        name: (weights[int(w * len(weights))], bitset[int(a * len(bitset))])
        for (name, weights), (w, a) in zip(choices.items(), draws, strict=True)
    }
