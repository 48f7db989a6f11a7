"""Training images per second that reach the device, ready for the network."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from bitswitch.bench.gpu.process import NO_TIME
from bitswitch.bench.gpu.setting import Finding, LeftOut, Setting, failed
from bitswitch.bench.loader import OPTIONS, made_up_files, packed
from bitswitch.contracts.streams import Stream
from bitswitch.data.crops import MEAN, STD, Pictures
from bitswitch.data.folder import training_examples, worker_count
from bitswitch.data.loading import Loaders, Request
from bitswitch.data.memory import InMemory, Split, Transform
from bitswitch.data.pixels import Normalise
from bitswitch.results.device_bench import Figure
from bitswitch.runtime.randomness import generator
from bitswitch.testing.made_up import Amount
from bitswitch.training.clock import Instant


class Extent(NamedTuple):
    """How much is read."""

    pictures: Amount
    batch_size: int
    least_s: float
    """Epochs follow each other until then, after a first one that starts worker processes."""
    in_memory: int
    """Images of 32x32 that lie on the device."""


FULL = Extent(Amount(classes=16, per_class=40), 64, 3.0, 50_000)
TRIAL = Extent(Amount(classes=2, per_class=4), 4, 0.1, 256)
PACKED = ("jpeg-256-90", "raw-256")
LOOK = Transform(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), padding=4, flip=True)
"""As CIFAR-10 is augmented."""


def measure(setting: Setting) -> Iterator[Finding]:
    """Measure images in memory, then files, packed or not, that processes decode."""
    extent = TRIAL if setting.is_trial else FULL
    yield _in_memory(extent, setting)
    workers = worker_count(setting.device)
    yield Figure(name="processes that decode", value=float(workers), unit="")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = made_up_files(folder, extent.pictures)
        forms: dict[str, Pictures] = {"folders": files}
        forms |= {word: packed(files, folder, word) for word in PACKED}
        for name, pictures in forms.items():
            if not setting.has(2 * extent.least_s):
                yield LeftOut(text=f"{name}: {NO_TIME}")
                continue
            try:
                yield _from_files(name, pictures, extent, setting)
            except Exception as error:
                yield failed(name, error)


def _in_memory(extent: Extent, setting: Setting) -> Figure:
    """Return how fast 32x32 images that lie on the device are augmented."""
    draw = generator("bench loading")
    pixels = torch.randint(256, (extent.in_memory, 32, 32, 3), generator=draw, dtype=torch.uint8)
    split = Split(pixels, torch.zeros(extent.in_memory, dtype=torch.int64))
    data = InMemory({"train": split}, LOOK, setting.device)

    def epoch(number: int) -> int:
        batches = data.train_batches(128, Stream("training", number), 0, skip=0)
        return sum(len(batch.targets) for batch in batches)

    return Figure(name="32x32 in memory", value=_rate(epoch, extent, setting), unit="images/s")


def _from_files(name: str, pictures: Pictures, extent: Extent, setting: Setting) -> Figure:
    """Return how fast pictures are read, decoded, sent, cropped and normalised."""
    device = setting.device
    examples = training_examples(pictures, OPTIONS, "")
    loaders = Loaders({"train": examples}, worker_count(device), device.type == "cuda")
    normalise = Normalise(MEAN, STD, device)

    def epoch(number: int) -> int:
        order = torch.randperm(len(examples), generator=generator("bench loading", number))
        size = extent.batch_size
        parts = [part.tolist() for part in torch.split(order, size) if len(part) == size]
        requests = [Request("train", (0, number), part) for part in parts]
        ready: list[Tensor] = [
            normalise(batch.on(device).pixels) for batch in loaders.read(requests)
        ]
        return sum(map(len, ready))

    return Figure(name=name, value=_rate(epoch, extent, setting), unit="images/s")


def _rate(epoch: Callable[[int], int], extent: Extent, setting: Setting) -> float:
    """Return images per second of ``epoch``, which gives how many it has read."""
    epoch(0)
    setting.synchronize()
    began, images, number = Instant.now().wall, 0, 0
    while Instant.now().wall - began < extent.least_s:
        number += 1
        images += epoch(number)
        setting.synchronize()
    return images / (Instant.now().wall - began)
