"""Methods: what a training step is made of, and what makes a network run at several bit-widths."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, overload

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.contracts.card import Card, ExamplePasses, Recipe, Storage, Workload
from bitswitch.contracts.data import Batch
from bitswitch.contracts.plugin import Plugin
from bitswitch.contracts.sensitivity import Scores
from bitswitch.contracts.task import ROWS, Task
from bitswitch.errors import PluginError
from bitswitch.nn import alrs
from bitswitch.nn.model import QuantizedModel
from bitswitch.nn.norms.switchable import SwitchableBatchNorm
from bitswitch.nn.policy import widest_first
from bitswitch.quant.lsq import ActivationQuantizer
from bitswitch.quant.quantizer import Quantizer
from bitswitch.runtime.ranks import ALONE, Ranks
from bitswitch.spec.run import RunSpec
from bitswitch.spec.training import TrainingSpec
from bitswitch.types import BitSet, Policy, Strict

SOME_INPUTS = 256 * 3 * 5 * 7
"""Of a layer whose weight can be cut into groups of any usual size."""


class StepInfo(NamedTuple):
    """When a training step takes place, and where its random numbers come from."""

    epoch: int
    """0-based."""
    epochs: int
    """Of the whole run."""
    step: int
    """0-based, since the start of the run."""
    steps: int
    """Of the whole run."""
    generator: torch.Generator
    """On the CPU, seeded by the run's seed and the step; all that is random comes from it."""

    @property
    def progress(self) -> float:
        """Share of the run that is over, 0 to 1."""
        return self.step / self.steps


@dataclass(frozen=True)
class Pass:
    """One forward and backward pass of a training step."""

    bits: int | None
    """Bit-width that records count it under, ``FLOAT_BITS`` included; None: it mixes several."""
    policy: Policy | None = None
    """Bit-widths of the layers; None: ``bits`` everywhere."""
    teacher: int | None = None
    """Position of an earlier pass of the same step whose detached logits are the soft target."""
    distill_weight: float = 1.0
    """Share of the teacher in the default loss; the rest goes to the labels."""
    update: bool = False
    """Step the optimizers right after this pass (A.2) instead of at the end (A.1)."""
    setup: Callable[[QuantizedModel], None] | None = None
    """Called when the model has switched, before the forward pass."""

    def widths(self) -> list[int]:
        """Return all bit-widths that occur, one per operand and layer where they may differ."""
        if self.policy is None:
            return [] if self.bits is None else [self.bits]
        values = self.policy.values()
        return [bits for one in values for bits in (one if isinstance(one, tuple) else (one, one))]

    def __str__(self) -> str:
        return "mixed bits" if self.bits is None else f"{self.bits} bit"


class HostRequest(NamedTuple):
    """Numbers that a method wants to know on the host."""

    values: Tensor
    """[n]."""
    receive: Callable[[list[float]], None]


class EarlierLogits(Sequence[Tensor]):
    """Detached logits [n, outputs] of the step's earlier passes, by position.

    Those that no later pass names as its teacher are not kept, unless the method says that it
    ``reads_all_logits``: of a language model they take gigabytes.

    Args:
        logits: One for every earlier pass; None: not kept.
    """

    def __init__(self, logits: Sequence[Tensor | None] = ()) -> None:
        self._logits = tuple(logits)

    def __len__(self) -> int:
        return len(self._logits)

    @overload
    def __getitem__(self, position: int) -> Tensor: ...

    @overload
    def __getitem__(self, position: slice) -> Sequence[Tensor]: ...

    def __getitem__(self, position: int | slice) -> Tensor | Sequence[Tensor]:
        if isinstance(position, slice):
            return [self[one] for one in range(len(self))[position]]
        found = self._logits[position]
        if found is None:
            raise PluginError(
                f"The logits of pass {position} are not kept: no later pass names it as its "
                f"teacher.\n  Name it, or say reads_all_logits = True in the class of the method."
            )
        return found


@dataclass(frozen=True, eq=False)
class PassContext:
    """What one pass learns from."""

    current: Pass
    logits: Tensor
    """[n, outputs], or what else the network gives; float32 at least, whatever the precision."""
    targets: Tensor
    """As the task reads them; of a classification class indices [n], or soft targets
    [n, classes]."""
    batch: Batch
    previous_logits: Sequence[Tensor]
    """Detached logits [n, outputs] of the step's earlier passes, by position; see
    ``EarlierLogits``."""
    model: QuantizedModel
    step_info: StepInfo
    requests: list[HostRequest] = field(default_factory=list)
    """Numbers that the method needs on the host; see ``request``."""
    ranks: Ranks = ALONE
    """Processes that share the batch; see ``total``."""

    def total(self, sums: Sequence[Tensor]) -> None:
        """Replace sums over the examples of ``batch`` by those over all of its parts, in place.

        Where several processes share a batch, each sees a part: what a method adds up over examples
        and remembers has to be the same for all.

        Args:
            sums: Of any shapes, without gradient.
        """
        self.ranks.total(sums)

    def request(self, values: Tensor, receive: Callable[[list[float]], None]) -> None:
        """Let ``values`` [n] leave the device together with the loss of this pass.

        Asking the device for them would make the training wait once more.

        Args:
            values: Floating-point, a mean over the examples or nothing of theirs: where several
                processes share the batch, they become the mean over all, in place.
            receive: Called with them at the end of the pass.
        """
        self.requests.append(HostRequest(values, receive))


Products = Sequence[Sequence[float]]
"""Inner products of some vectors, a row for each."""


class Method(Plugin):
    """A way to make one network run at several bit-widths."""

    card: ClassVar[Card]
    """Required."""
    published_recipes: ClassVar[Mapping[str, Recipe]] = {}
    """The publication's own recipe by dataset, ``cifar10`` or ``imagenet``."""
    trains: ClassVar[bool] = True
    """False: there are no training steps, ``finish`` does everything."""
    reads_all_logits: ClassVar[bool] = False
    """Whether ``loss`` reads logits of earlier passes that no pass names as its teacher."""
    needs_whole_batch: ClassVar[bool] = False
    """Whether ``loss`` is no mean over examples, so that parts of a batch do not add up to it."""
    task: Task = ROWS
    """Of the dataset that it is trained on; without one, rows of logits are classified."""

    def __init__(self, options: Strict, bitset: BitSet) -> None:
        super().__init__(options)
        self.bitset = widest_first(bitset)
        self.is_first_last = False
        """Whether this instance quantizes first and last layers, at ``first_last_bits`` alone."""

    @property
    def first_last_bits(self) -> int | None:
        """Fixed bit-width of the first layer's weights and of the last layer; None: float.

        Default: the option of this name, where the method has one.
        """
        bits: int | None = getattr(self.options, "first_last_bits", None)
        return bits

    @property
    def storage(self) -> Storage:
        """What has to be kept to run at every bit-width, with these options; default: the card."""
        return self.card.storage

    @property
    def sliced(self) -> BitSet:
        """Bit-widths of the set that no step trains, evaluated all the same; default: none."""
        return ()

    @property
    def changes_network(self) -> bool:
        """Whether ``transform_float`` does anything, which no exported file can describe."""
        return type(self).transform_float is not Method.transform_float

    def transform_float(self, net: nn.Module) -> nn.Module:
        """Return the loaded float network whose layers will be replaced; default: as it is."""
        return net

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        """Return the quantizer of one layer's ``weight`` [out, in, ...]; required."""
        raise NotImplementedError

    def activation_quantizer(self) -> Quantizer:
        """Return the quantizer of one layer's input; default: a learned scale per bit-width."""
        return ActivationQuantizer(self.bitset)

    def normalization(self, norm: _BatchNorm) -> nn.Module:
        """Return what replaces a batch norm; default: one copy for every bit-width."""
        return SwitchableBatchNorm(norm, self.bitset)

    def on_quantized(self, model: QuantizedModel, outputs: int) -> None:
        """Add to the quantized ``model`` what the method needs besides; default: nothing.

        ``model.memory`` may become a module of the method's own: it is saved and moved with the
        model.
        """

    def convert_state_dict(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the state dict to load for one of a network trained at several bit-widths.

        Default: the same. A method whose model has more tensors than that of the start, say a
        batch norm for every change of bit-width, fills them here.
        """
        return state

    def set_sensitivity(self, scores: Scores) -> None:
        """Take the sensitivity of layers that the run's spec names; default: it is not needed."""

    def passes(
        self, training: TrainingSpec, step_info: StepInfo, layers: Sequence[str]
    ) -> list[Pass]:
        """Return the passes of one training step; default: widest to narrowest, as the recipe.

        Args:
            training: The recipe.
            step_info: Of the step.
            layers: Names of the quantized layers, first to last.
        """
        chain = training.distillation == "neighbour"
        return [
            Pass(
                bits,
                teacher=position - 1 if chain and position else None,
                distill_weight=training.distillation_weight,
                update=training.update == "separate",
            )
            for position, bits in enumerate(self.bitset)
        ]

    def loss(self, context: PassContext) -> Tensor:
        """Return the loss of one pass; default: the task's, to the targets and the teacher."""
        part, task = context.current, self.task
        if part.teacher is None:
            return task.loss(context.logits, context.targets)
        share = part.distill_weight
        soft = task.soft_loss(context.logits, context.previous_logits[part.teacher])
        if share == 1.0:
            return soft
        return share * soft + (1 - share) * task.loss(context.logits, context.targets)

    def pass_weights(self, products: Products) -> Sequence[float]:
        """Return how much the gradient of each pass counts in the one step that follows them all.

        Default: once, so that gradients add up; nothing is then computed for it. It concerns the
        parameters that every bit-width uses; the others, which belong to single bit-widths, follow
        the sum of their own gradients.

        Args:
            products: Inner products of the passes' gradients for the parameters that every
                bit-width uses, passes by passes.
        """
        return [1.0] * len(products)

    @property
    def weighs_passes(self) -> bool:
        """Whether passes do not all count once."""
        return type(self).pass_weights is not Method.pass_weights

    def scale_learning_rate(
        self, training: TrainingSpec, current: Pass, base: float, largest: Tensor
    ) -> float | Tensor:
        """Return the learning rate of the scales in the update that follows a pass.

        Default: ``base``, or what ALRS makes of it where the recipe asks for that. Conventional
        training takes one update for all passes, at what is returned for the last one.

        What follows from ``largest`` is best a tensor [] too: as a number of Python it would make
        the training wait for the device.

        Args:
            training: The recipe.
            current: The pass.
            base: The scheduled learning rate of scales.
            largest: Largest magnitude of the gradient that the pass gave each scale in use,
                [scales].
        """
        if training.alrs is None:
            return base
        widths = current.widths()
        return alrs.scaled(training.alrs, self.bitset, current.bits, widths, base, largest)

    def needs_scale_gradients(self, training: TrainingSpec) -> bool:
        """Return whether ``scale_learning_rate`` looks at gradients.

        Default: if the recipe has ALRS, or the method a rule of its own.
        """
        own = type(self).scale_learning_rate is not Method.scale_learning_rate
        return own or training.alrs is not None

    @property
    def learns_scales(self) -> bool:
        """Whether training changes scales of the quantizers; default: as the quantizers say.

        For methods whose bit-widths are integers.
        """
        weight = torch.linspace(-1, 1, SOME_INPUTS).reshape(1, SOME_INPUTS, 1, 1)
        quantizers = (self.weight_quantizer(weight), self.activation_quantizer())
        return any(quantizer.scales() for quantizer in quantizers)

    def finish(self, model: QuantizedModel, batches: Callable[[], Iterator[Batch]]) -> None:
        """Make the trained ``model`` ready for evaluation; default: it is.

        Args:
            model: After the last training step.
            batches: Gives one epoch of shuffled, augmented training batches, every time the same.
        """

    def finish_work(self, extent: Workload) -> ExamplePasses:
        """Return what ``finish`` takes, about; default: nothing."""
        return ExamplePasses()

    def skip(self, spec: RunSpec) -> str | None:
        """Return why this method cannot run ``spec``, or None; shown in the table's footnote.

        It is asked once for all seeds of a row.
        """
        return None
