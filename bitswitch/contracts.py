"""What a plugin author subclasses, on one page.

A plugin is a class named by an entry point in the group ``bitswitch.<group>``; that name is the
only name it has in suites, on the command line and in tables. ``Options`` holds its settings.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.cards import Card, Recipe, Storage
from bitswitch.nn.dataflow import FirstLast
from bitswitch.nn.policy import widest_first
from bitswitch.passes import Lesson, Moment, Pass
from bitswitch.problems import Candidate, Evaluation, Problem
from bitswitch.quant.quantizer import Quantizer
from bitswitch.scores import Findings, Score, Scores, Subject
from bitswitch.types import BitSet, Strict
from bitswitch.work import Extent, Work

if TYPE_CHECKING:
    from PIL.Image import Image

    from bitswitch.nn.model import QuantizedModel
    from bitswitch.spec import RunSpec, TrainingSpec

__all__ = [
    "CONTRACTS",
    "Batch",
    "Candidate",
    "Card",
    "Dataset",
    "Evaluation",
    "Extent",
    "Findings",
    "FirstLast",
    "Lesson",
    "Method",
    "Model",
    "Moment",
    "OpenDataset",
    "Pass",
    "Plugin",
    "Problem",
    "Recipe",
    "Score",
    "Scores",
    "Search",
    "Sensitivity",
    "Subject",
    "Work",
]


class Plugin:
    """Base of all plugins."""

    source: ClassVar[str] = "bitswitch"
    """Citation key of the publication (``report/references.bib``)."""

    class Options(Strict):
        """Settings of this plugin; defaults are the published ones."""

    def __init__(self, options: Strict) -> None:
        self.options = options


class Method(Plugin):
    """A way to make one network run at several bit-widths."""

    card: ClassVar[Card]
    """Required."""
    faithful: ClassVar[Mapping[str, Recipe]] = {}
    """The publication's own recipe by dataset, ``cifar10`` or ``imagenet``."""
    trains: ClassVar[bool] = True
    """False: there are no training steps, ``finish`` does everything."""

    def __init__(self, options: Strict, bitset: BitSet) -> None:
        super().__init__(options)
        self.bitset = widest_first(bitset)
        self.edge = False
        """Whether this instance makes the quantizers of edge layers, at ``edge_bits`` alone."""

    @property
    def edge_bits(self) -> int | None:
        """Fixed bit-width of the first layer's weights and of the last layer; None: float.

        Default: the option of this name, where the method has one.
        """
        bits: int | None = getattr(self.options, "edge_bits", None)
        return bits

    @property
    def storage(self) -> Storage:
        """What has to be kept to run at every bit-width, with these options; default: the card."""
        return self.card.storage

    @property
    def changes_network(self) -> bool:
        """Whether ``prepare`` does anything, which no exported file can describe."""
        return type(self).prepare is not Method.prepare

    def prepare(self, net: nn.Module) -> nn.Module:
        """Return the loaded float network whose layers will be replaced; default: as it is."""
        return net

    def weight_quantizer(self, weight: Tensor) -> Quantizer:
        """Return the quantizer of one layer's ``weight`` [out, in, ...]; required."""
        raise NotImplementedError

    def activation_quantizer(self) -> Quantizer:
        """Return the quantizer of one layer's input; default: a learned step per bit-width."""
        from bitswitch.quant.lsq import ActivationQuantizer

        return ActivationQuantizer(self.bitset)

    def normalization(self, norm: _BatchNorm) -> nn.Module:
        """Return what replaces a batch norm; default: one copy for every bit-width."""
        from bitswitch.nn.norm import SwitchableBatchNorm

        return SwitchableBatchNorm(norm, self.bitset)

    def attach(self, model: "QuantizedModel", classes: int) -> None:
        """Add to the quantized ``model`` what the method needs besides; default: nothing.

        ``model.memory`` may become a module of the method's own: it is saved and moved with the
        model.
        """

    def inherit(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the state dict to load for one of a network trained at several bit-widths.

        Default: the same. A method whose model has more tensors than that of the start, say a
        batch norm for every change of bit-width, fills them here.
        """
        return state

    def guide(self, scores: Scores) -> None:
        """Take the sensitivity of layers that the run's spec names; default: it is not needed."""

    def passes(self, training: "TrainingSpec", moment: Moment, layers: Sequence[str]) -> list[Pass]:
        """Return the passes of one training step; default: widest to narrowest, as the recipe.

        Args:
            training: The recipe.
            moment: Of the step.
            layers: Names of the quantized layers, first to last.
        """
        chain = training.distillation == "neighbour"
        return [
            Pass(
                bits,
                teacher=position - 1 if chain and position else None,
                soft=training.distillation_weight,
                update=training.update == "separate",
            )
            for position, bits in enumerate(self.bitset)
        ]

    def loss(self, lesson: Lesson) -> Tensor:
        """Return the loss of one pass; default: cross-entropy to the labels and the teacher."""
        from bitswitch.nn.losses import distilled

        part = lesson.part
        if part.teacher is None:
            return cross_entropy(lesson.logits, lesson.targets)
        teacher = lesson.earlier[part.teacher]
        return distilled(lesson.logits, lesson.targets, teacher, part.soft)

    def finish(self, model: "QuantizedModel", batches: "Callable[[], Iterator[Batch]]") -> None:
        """Make the trained ``model`` ready for evaluation; default: it is.

        Args:
            model: After the last training step.
            batches: Gives one epoch of shuffled, augmented training batches, every time the same.
        """

    def finish_work(self, extent: Extent) -> Work:
        """Return what ``finish`` takes, about; default: nothing."""
        return Work()

    def skip(self, spec: "RunSpec") -> str | None:
        """Return why this method cannot run ``spec``, or None; shown in the table's footnote."""
        return None


class Model(Plugin):
    """A float network architecture."""

    pretrained: bool = False
    """Whether all weights of the network that ``build`` returned last, its classifier's included,
    were trained on the classes of the data; they are then tried on a batch before any training."""

    def build(self, classes: int, seed: int) -> nn.Module:
        """Return the network for ``classes`` outputs, initialised from ``seed``."""
        raise NotImplementedError

    def first_last(self, net: nn.Module) -> FirstLast | None:
        """Return the names of the first and the last layers of ``net``, as ``build`` made it.

        Default: None; they are found by running it. They are the layers that see the image, and
        those whose output is the network's, through no other layer.
        """
        return None


class Batch(NamedTuple):
    """Images and what they show."""

    images: Tensor
    """float32 [n, 3, height, width], normalised."""
    targets: Tensor
    """int64 [n], class indices."""
    indices: Tensor
    """int64 [n], position of each image in its split."""


class OpenDataset:
    """A dataset ready to be read on one device. Stateless: same arguments, same batches."""

    def size(self, split: str) -> int:
        """Return the number of images of ``split``: ``train``, ``held_out`` or ``test``."""
        raise NotImplementedError

    def train_batches(self, batch_size: int, epoch: int, seed: int, skip: int) -> Iterator[Batch]:
        """Yield shuffled, augmented batches of one epoch after the first ``skip`` batches.

        Order and augmentation depend on ``seed`` and ``epoch`` alone; the incomplete last batch
        is dropped. So a run resumes in mid-epoch with the very batches it would have seen.
        """
        raise NotImplementedError

    def batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        """Yield all images of ``split`` once, in order, not augmented, last batch incomplete."""
        raise NotImplementedError


class Dataset(Plugin):
    """Labelled images in three disjoint splits; ``held_out`` is part of the training data."""

    classes: int
    """Number of classes."""
    stamp: str
    """What tables and figures say of it, e.g. ``embedded digits 16x16``."""

    def shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of an image as the network sees it."""
        raise NotImplementedError

    def sizes(self) -> dict[str, int]:
        """Return the number of images per split; known without the data."""
        raise NotImplementedError

    def prepare(self, root: Path) -> None:
        """Make or download the data below ``root``; a no-op when it is there."""
        raise NotImplementedError

    def check(self, root: Path) -> dict[str, str]:
        """Return facts about the data below ``root`` (counts, hashes).

        Raises:
            DatasetError: missing, damaged or laid out wrongly.
        """
        raise NotImplementedError

    def network_input(self, image: "Image") -> Tensor:
        """Return what the network sees of one picture, float32 of ``shape()``, as in evaluation.

        Only `bitswitch infer` needs it, and a dataset without it is one that it cannot serve.

        Args:
            image: RGB, of any size.
        """
        raise NotImplementedError

    def open(self, root: Path, device: torch.device) -> OpenDataset:
        """Return the data below ``root``, ready for ``device``.

        Raises:
            DatasetError: missing, damaged or laid out wrongly.
        """
        raise NotImplementedError


class Sensitivity(Plugin):
    """A way to tell how much every layer suffers from low bit-widths."""

    def score(self, subject: Subject) -> Findings:
        """Return the scores of all switchable layers of ``subject.model``.

        Either one per layer, or one per layer and bit-width, for the layer as a whole or for its
        weights and inputs apart; larger is more sensitive.
        """
        raise NotImplementedError

    def work(self, images: int, classes: int) -> Work:
        """Return what passes through the network, about; default: nothing.

        Args:
            images: That it sees.
            classes: Outputs of the network.
        """
        return Work()


class Search(Plugin):
    """A way to choose a bit-width for every layer.

    Where an option decides one of these, ``__init__`` sets it.
    """

    scored: bool = False
    """Whether it needs a sensitivity."""
    evaluates: bool = False
    """Whether it evaluates policies on held-out images while it searches."""
    stochastic: bool = False
    """Whether its result depends on the seed."""

    def search(self, problem: Problem) -> list[Candidate]:
        """Return policies within the budget, best first; at least one.

        Where it returns several, the one that is best on held-out images is taken, as far as the
        allowed number of evaluations goes.

        Raises:
            InfeasibleBudgetError: no policy is within the budget. Tables print a dash with that
                reason; other budgets go on.
        """
        raise NotImplementedError

    def least_evaluations(self, layers: int) -> int:
        """Return how many evaluations it cannot do without within one budget.

        Suites that allow fewer are refused. Default: one, where it evaluates.

        Args:
            layers: Whose bit-widths can be switched.
        """
        return 1 if self.evaluates else 0

    def objection(self, cost: str) -> str | None:
        """Return why it cannot search within a budget on ``cost``, or None.

        Suites that ask for it are refused.
        """
        return None

    def work(self, extent: Extent, evaluations: int) -> Work:
        """Return what it trains within one budget, about; default: nothing.

        Args:
            extent: Of the run that is searched.
            evaluations: How often it may evaluate a policy, which is counted apart.
        """
        return Work()


CONTRACTS: dict[str, type[Plugin]] = {
    "methods": Method,
    "models": Model,
    "datasets": Dataset,
    "sensitivities": Sensitivity,
    "searches": Search,
}
"""Base class of each plugin group."""
