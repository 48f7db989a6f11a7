"""Models and datasets: float networks, and labelled examples in three disjoint splits."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor, nn

from bitswitch.contracts.plugin import Plugin
from bitswitch.contracts.streams import Stream
from bitswitch.contracts.task import Task
from bitswitch.nn.dataflow import FirstLast

if TYPE_CHECKING:
    from PIL.Image import Image


class Download(NamedTuple):
    """A file that is fetched from a network."""

    url: str
    path: Path
    """Where it is kept, and looked for."""

    def __str__(self) -> str:
        return f"{self.url}\n    to be put at {self.path}"


class Model(Plugin):
    """A float network architecture."""

    reads: Literal["images", "tokens"] = "images"
    """What its inputs are: checks give it made-up ones."""
    pretrained: bool = False
    """Whether all weights of the network that ``build`` returned last, its classifier's included,
    were trained on the targets of the data; they are then tried on a batch before any training."""

    def build(self, outputs: int, seed: int) -> nn.Module:
        """Return the network with so many ``outputs``, initialised from ``seed``."""
        raise NotImplementedError

    def check(self, outputs: int) -> None:
        """Raise an error where weights that options name cannot be those of the network.

        It is asked before any job, and so reads little: names and sizes, not the weights. Default:
        nothing is known before they are loaded.

        Args:
            outputs: As in ``build``.
        """

    def download(self) -> Download | None:
        """Return the file of weights that ``build`` would fetch from a network.

        Default: None; there is none, or it is on this machine.
        """
        return None

    def first_last(self, net: nn.Module) -> FirstLast | None:
        """Return the names of the first and the last layers of ``net``, as ``build`` made it.

        Default: None; they are found by running it. They are the layers that see the inputs, and
        those whose output is the network's, through no other layer.
        """
        return None

    def float_inputs(self, net: nn.Module) -> Sequence[str]:
        """Return the layers of ``net`` whose weights are quantized, but whose inputs are not.

        Names or patterns; a run may name others. Default: none.
        """
        return ()

    def recomputable(self, net: nn.Module) -> Sequence[str]:
        """Return the modules of ``net`` that may be computed again instead of kept, by name.

        Each maps one tensor to one, without random numbers; see ``checkpoint_activations`` of
        recipes. Default: there are none.
        """
        return ()

    def order(self, net: nn.Module) -> Sequence[str] | None:
        """Return the names of layers and batch norms of ``net`` in an order of the network's own.

        A batch norm then follows the last two switchable layers before it in this order. Default:
        None; it follows the layers that its input comes from, found by running the network.
        """
        return None


class Batch(NamedTuple):
    """Examples, and what a network should say of them."""

    inputs: Tensor
    """[n, ...], as the network takes them: images are float32 [n, 3, height, width], normalised."""
    targets: Tensor
    """[n, ...], as the task of the dataset reads them: class indices are int64 [n]."""
    indices: Tensor
    """int64 [n], position of each example in its split."""


class OpenDataset:
    """A dataset ready to be read on one device. Stateless: same arguments, same batches."""

    def size(self, split: str) -> int:
        """Return the number of examples of ``split``: ``train``, ``held_out`` or ``test``."""
        raise NotImplementedError

    def train_batches(
        self, batch_size: int, stream: Stream, seed: int, skip: int
    ) -> Iterator[Batch]:
        """Yield shuffled, augmented batches of one epoch after the first ``skip`` batches.

        Order and augmentation depend on ``seed`` and ``stream.key`` alone; the incomplete last
        batch is dropped. So a run resumes in mid-epoch with the very batches it would have seen.

        Args:
            batch_size: Examples in each batch.
            stream: What the batches are for, and which epoch of it.
            seed: Of the run.
            skip: How many batches of the epoch to leave out.
        """
        raise NotImplementedError

    def batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        """Yield all examples of ``split`` once, in order, not augmented, last batch incomplete."""
        raise NotImplementedError

    def train_parts(
        self, batch_size: int, stream: Stream, seed: int, skip: int, part: slice
    ) -> Iterator[Batch]:
        """Yield what one of several processes trains on: ``part`` of each of ``train_batches``.

        Default: whole batches are made and cut. Where an example takes time to read, make the part
        alone; its numbers are the same.

        Args:
            batch_size: Examples in each whole batch.
            stream: As in ``train_batches``.
            seed: Of the run.
            skip: How many batches of the epoch to leave out.
            part: Places in a batch.
        """
        for batch in self.train_batches(batch_size, stream, seed, skip):
            yield Batch(*(values[part] for values in batch))

    def some_batches(self, split: str, batch_size: int, some: slice) -> Iterator[Batch]:
        """Yield what one of several processes evaluates: ``some`` of ``batches``.

        Default: all before them are made and dropped.

        Args:
            split: As in ``batches``.
            batch_size: Examples in each batch.
            some: First one, and the end, both known.
        """
        yield from islice(self.batches(split, batch_size), some.start, some.stop)


class Dataset(Plugin):
    """Labelled examples in three disjoint splits; ``held_out`` is part of the training data."""

    task: Task
    """What a network is trained for, and judged by."""
    outputs: int
    """How many the network has; of a classification, its classes."""
    stamp: str
    """What tables and figures say of it, e.g. ``embedded digits 16x16``."""
    is_noise: bool = False
    """Whether nothing can be learned from it: no network is then said to have collapsed."""

    def example(self, count: int, generator: torch.Generator) -> Batch:
        """Return made-up examples on the CPU; known without the data.

        Their shapes and types are those of real batches, their values of no meaning. Plans measure
        with them, and networks are traced by them.

        Args:
            count: How many.
            generator: On the CPU; all that is random comes from it.
        """
        raise NotImplementedError

    def sizes(self) -> dict[str, int]:
        """Return the number of examples per split; known without the data."""
        raise NotImplementedError

    def missing(self) -> Sequence[str]:
        """Return the paths that its options name and where nothing is; default: none.

        What lies below ``root`` of the methods that follow does not count.
        """
        return ()

    def prepare(self, root: Path) -> None:
        """Make or download the data below ``root``; a no-op when it is there."""
        raise NotImplementedError

    def check(self, root: Path) -> dict[str, str]:
        """Return facts about the data below ``root`` (counts, hashes).

        Raises:
            DatasetError: missing, damaged or laid out wrongly.
        """
        raise NotImplementedError

    def provenance(self, root: Path) -> dict[str, str]:
        """Return what decides numbers of the data below ``root`` and is no option: say, a checksum.

        It is noted beside the code and the machine. Default: nothing.
        """
        return {}

    def network_input(self, image: "Image") -> Tensor:
        """Return what the network sees of one picture, as in evaluation, without a batch axis.

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
