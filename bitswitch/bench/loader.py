"""Training images per second and core: files in folders, and the same ones packed.

The baseline is what most training scripts do: torchvision's ``ImageFolder``, whose pictures Pillow
decodes, crops and resizes. Every form shows the same crops of the same made-up pictures.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
import torchvision
from torch import Tensor

from bitswitch.bench.measured import Measured
from bitswitch.bench.step import conditions
from bitswitch.data.crops import MEAN, STD, FolderOptions, Key, Pictures, training_crop
from bitswitch.data.folder import Files, FolderData, list_files
from bitswitch.data.packed import form as forms
from bitswitch.data.packed.packing import pack
from bitswitch.data.packed.shards import Shards
from bitswitch.data.pixels import Normalise
from bitswitch.runtime.allocator import keep_freed_memory
from bitswitch.testing.made_up import Amount, write_imagenet
from bitswitch.training.clock import Instant

AMOUNT = Amount(classes=16, per_class=20)
COUNT = 16 * 20
BATCH_SIZE, ROUNDS = 64, 15
BASELINE, FOLDER = "ImageFolder, Pillow", "imagenet, folders"
PACKED = ("original", "jpeg-256-90", "jpeg-256-75", "raw-256")
LIMIT, LIMITED = 3.0, "jpeg-256-90"
COLUMNS = (
    *("training images", "kB each", "ready for the device", "faster"),
    *("resized and normalised too", "faster"),
)
CPU = torch.device("cpu")
OPTIONS = FolderOptions()


class Loader(NamedTuple):
    """One way to a batch, in the two steps in which processes and the device share the work."""

    read: Callable[[Sequence[int], Key], Any]
    """What a worker process does."""
    finish: Callable[[Any], Tensor]
    """What the device does."""
    bytes_each: float


class Times(NamedTuple):
    """Processor seconds of one batch."""

    ready: float
    """Until a worker process hands it over."""
    whole: float
    """Until the network could take it."""


def measure() -> Measured:
    """Measure all forms on made-up pictures of ImageNet's sizes, one thread."""
    torch.set_num_threads(1)
    keep_freed_memory()  # as jobs do
    with tempfile.TemporaryDirectory() as folder:
        ways = loaders(Path(folder), AMOUNT)
        times = alternate(ways, COUNT)
    rows: list[tuple[str, ...]] = []
    figures: dict[str, float] = {}
    for name, way in ways.items():
        mine, base = times[name], times[BASELINE]
        ready, whole = (
            median(slow[part] / fast[part] for slow, fast in zip(base, mine, strict=True))
            for part in (0, 1)
        )
        speeds = [BATCH_SIZE / median(column) for column in zip(*mine, strict=True)]
        rows.append(
            (
                *(name, f"{way.bytes_each / 1e3:.0f}", f"{speeds[0]:.0f} / s", f"{ready:.2f}"),
                *(f"{speeds[1]:.0f} / s", f"{whole:.2f}"),
            )
        )
        figures |= {
            f"images_per_s_{name}": speeds[0],
            f"speedup_{name}": ready,
            f"speedup_whole_{name}": whole,
        }
    rows.append((f"target, {LIMITED}", "", "", f"{LIMIT:.2f}", "", ""))
    title = (
        f"{COUNT} made-up pictures, crops of {OPTIONS.crop}, batch {BATCH_SIZE}, "
        f"median of {ROUNDS} rounds, alternating; files in memory\n"
        f"{conditions(CPU)}, torchvision {torchvision.__version__}"
    )
    return Measured(title, COLUMNS, tuple(rows), figures)


def loaders(root: Path, amount: Amount) -> dict[str, Loader]:
    """Return every way to batches of the same pictures, which are made up below ``root``."""
    files = made_up_files(root, amount)
    ways = {BASELINE: _baseline(files), FOLDER: _ours(files, mean_bytes(files))}
    for word in PACKED:
        shards = packed(files, root, word)
        ways[f"packed, {word}"] = _ours(shards, shards.size(0) / len(files.names))
    return ways


def made_up_files(root: Path, amount: Amount) -> Files:
    """Return made-up training pictures, which are written below ``root``."""
    folder = write_imagenet(root, amount) / "train"
    return list_files(folder, sorted(path.name for path in folder.iterdir()))


def packed(files: Files, root: Path, word: str) -> Shards:
    """Return ``files`` packed below ``root``, in the form that ``word`` says."""
    at = root / word
    pack({"train": files}, at, {"train": forms.parse(word)}, "")
    return Shards.open(at, "train", "")


def mean_bytes(files: Files) -> float:
    """Return the mean size of files."""
    return sum(files.path(number).stat().st_size for number in range(len(files.names))) / len(
        files.names
    )


def _baseline(files: Files) -> Loader:
    """Return torchvision's own way."""
    folder = torchvision.datasets.ImageFolder(str(files.root), training_crop(OPTIONS))

    def read(indices: Sequence[int], key: Key) -> Tensor:
        return torch.stack([folder[index][0] for index in indices])

    return Loader(read, Normalise(MEAN, STD, CPU), mean_bytes(files))


def _ours(files: Pictures, bytes_each: float) -> Loader:
    examples = FolderData({"train": files}, OPTIONS, CPU, "").splits["train"]
    normalise = Normalise(MEAN, STD, CPU)
    return Loader(examples.batch, lambda batch: normalise(batch.on(CPU).pixels), bytes_each)


def alternate(ways: Mapping[str, Loader], count: int) -> dict[str, list[Times]]:
    """Return the times of each way, round by round; all read the same batch before the next.

    Args:
        ways: By name.
        count: Of the pictures.
    """
    times: dict[str, list[Times]] = {name: [] for name in ways}
    draw = torch.Generator().manual_seed(0)
    for number in range(ROUNDS + 1):
        indices = torch.randperm(count, generator=draw)[:BATCH_SIZE].tolist()
        for name, way in ways.items():
            found = _times(way, indices, (number,))
            if number:  # the first is a warm-up
                times[name].append(found)
    return times


def _times(way: Loader, indices: Sequence[int], key: Key) -> Times:
    began = Instant.now().cpu
    batch = way.read(indices, key)
    ready = Instant.now().cpu
    way.finish(batch)
    return Times(ready - began, Instant.now().cpu - began)
