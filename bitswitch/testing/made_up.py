"""Made-up pictures in the files that real datasets come in, to try out what reads them.

Pictures are coloured noise whose power falls with the square of its frequency, as that of
photographs does, so they take as long to decode and as many bytes. Classes differ in their mean
colour, so that a network can know them.
"""

import pickle
from collections.abc import Callable, Iterator, Sequence
from math import cos, tau
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bitswitch.data import cifar10, imagenet
from bitswitch.data.files import MADE_UP, advise, replace_folder
from bitswitch.data.made_up import VAL_SHARE
from bitswitch.errors import SpecError
from bitswitch.runtime.randomness import mix

if TYPE_CHECKING:
    from PIL.Image import Image

Array = np.ndarray[Any, Any]

CANVAS = 1024
"""Height and width of the noise that pictures are cut out of."""
CONTRAST = 55.0
"""Standard deviation of its brightness."""
SIDES = (250, 550), (225, 475)
"""Range of width and height: 400 x 350 on average, as ImageNet's."""
JPEG_QUALITY = 92
DIFFERENT = 1000
"""A split has no more different pictures; others are links to them."""
TINT = 50.0
"""How far a class's mean colour is from grey, of 255."""
TURN = 0.618
"""Of the circle of hues, from one class to the next: neighbours differ, and so do many."""


class Canvas:
    """Noise to cut pictures out of.

    Args:
        seed: Whatever is drawn follows from it.
    """

    def __init__(self, seed: int = 0) -> None:
        self.draw = np.random.default_rng(mix("made-up", seed))
        frequencies = np.fft.fftfreq(CANVAS)
        distance = np.hypot(frequencies[:, None], frequencies[None])
        distance[0, 0] = np.inf  # its mean is zero
        grey, *colours = (self._noise(distance) for _ in range(4))
        mixed = np.stack([grey + 0.3 * colour for colour in colours], axis=-1)
        mixed *= CONTRAST / mixed.std()
        self.pixels = (mixed + 120).clip(0, 255).astype(np.uint8)

    def _noise(self, distance: Array) -> Array:
        white = np.fft.rfft2(self.draw.standard_normal((CANVAS, CANVAS)))
        return np.fft.irfft2(white / distance[:, : white.shape[1]])

    def cut(self, width: int, height: int) -> Array:
        """Return a part of the noise, uint8 [height, width, 3]."""
        top, left = self.draw.integers(0, (CANVAS - height + 1, CANVAS - width + 1))
        return self.pixels[top : top + height, left : left + width]

    def picture(self, number: int = 0) -> "Image":
        """Return a picture of class ``number``, of random size."""
        from PIL import Image

        (least_w, most_w), (least_h, most_h) = SIDES
        width, height = self.draw.integers((least_w, least_h), (most_w + 1, most_h + 1)).tolist()
        tinted = self.cut(width, height) + tint(number)
        return Image.fromarray(tinted.clip(0, 255).astype(np.uint8))


def tint(number: int) -> Array:
    """Return how the mean colour of class ``number`` differs from grey, [3]."""
    return np.array([TINT * cos(tau * (TURN * number + part / 3)) for part in range(3)])


class Amount(NamedTuple):
    """How much is made up; None: as much as the real dataset has."""

    classes: int | None = None
    per_class: int | None = None


def write_imagenet(root: Path, amount: Amount) -> Path:
    """Write ``imagenet/train/<synset>/*.JPEG`` and ``imagenet/val/<synset>/*.JPEG`` below ``root``.

    Class folders and files are called as the published ones are. Where there are more files than
    ``DIFFERENT``, the rest are hard links. In full, that passes every check of the layout.

    Args:
        root: Of all datasets.
        amount: How much.

    Returns:
        The folder.

    Raises:
        DatasetError: there is such a folder, or it cannot be written.
        SpecError: ImageNet has fewer classes.
    """
    known = imagenet.synsets()
    _check(amount.classes, len(known))
    classes = known[: amount.classes]
    counts = {split: _per_class(split, amount, len(classes)) for split in imagenet.SPLITS}

    def write(folder: Path) -> None:
        canvas = Canvas()
        for split, per_class in counts.items():
            paths = _image_paths(folder / split, split, classes, per_class)
            _write_images(canvas, paths, classes)

    return _written(root / "imagenet", write)


def _per_class(split: str, amount: Amount, classes: int) -> list[int]:
    """Return how many images each class has; in all, as many as the real split where none is said.

    One validation image for ``VAL_SHARE`` training images, and one at least.
    """
    if amount.per_class is not None:
        share = 1 if split == "train" else VAL_SHARE
        return [max(amount.per_class // share, 1)] * classes
    total = imagenet.SPLITS[split].images * classes // imagenet.CLASSES
    return [total // classes + (number < total % classes) for number in range(classes)]


def _image_paths(
    folder: Path, split: str, classes: list[str], per_class: list[int]
) -> Iterator[Path]:
    """Yield the paths of all images, named as the published ones; folders are made on the way."""
    number = 0
    for synset, count in zip(classes, per_class, strict=True):
        (folder / synset).mkdir(parents=True)
        for own in range(1, count + 1):
            number += 1
            official = f"{synset}_{own}" if split == "train" else f"ILSVRC2012_val_{number:08d}"
            yield folder / synset / f"{official}.JPEG"


def _write_images(canvas: Canvas, paths: Iterator[Path], classes: Sequence[str]) -> None:
    """Write pictures; from ``DIFFERENT`` on, link to those that are there in turn."""
    written: list[Path] = []
    for number, path in enumerate(paths):
        if number < DIFFERENT:
            picture = canvas.picture(classes.index(path.parent.name))
            picture.save(path, "JPEG", quality=JPEG_QUALITY)
            written.append(path)
        else:
            path.hardlink_to(written[number % DIFFERENT])


def write_cifar10(root: Path, amount: Amount) -> Path:
    """Write the pickled batches of CIFAR-10 below ``root``, called as the published ones are.

    Their MD5 cannot be that of the published files, so `bitswitch data check` says that they are
    damaged; what reads the format itself is content.

    Args:
        root: Of all datasets.
        amount: ``per_class`` is of each of the six batches.

    Returns:
        The folder.

    Raises:
        DatasetError: there is such a folder, or it cannot be written.
        SpecError: CIFAR-10 has fewer classes.
    """
    from torchvision.datasets import CIFAR10

    _check(amount.classes, cifar10.CLASSES)
    batches = [name for name, _ in (*CIFAR10.train_list, *CIFAR10.test_list)]
    per_class = amount.per_class or cifar10.COUNTS["test"] // cifar10.CLASSES
    classes = amount.classes or cifar10.CLASSES

    def write(folder: Path) -> None:
        canvas = Canvas()
        inside = folder / CIFAR10.base_folder
        inside.mkdir()
        for name in batches:
            (inside / name).write_bytes(_pickled(_batch(canvas, name, classes, per_class)))
        meta = {"label_names": LABELS, "num_cases_per_batch": per_class * classes, "num_vis": 3072}
        (inside / CIFAR10.meta["filename"]).write_bytes(_pickled(meta))

    return _written(root / "cifar10", write)


LABELS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def _batch(canvas: Canvas, name: str, classes: int, per_class: int) -> dict[str, Any]:
    """Return what one file holds: pixels channel by channel, row by row, and labels."""
    labels = canvas.draw.permutation(np.arange(classes * per_class) % classes).tolist()
    pixels = [canvas.cut(32, 32).transpose(2, 0, 1).reshape(-1) for _ in labels]
    return {
        "batch_label": name,
        "labels": labels,
        "data": np.stack(pixels),
        "filenames": [f"made_up_s_{number:06d}.png" for number in range(len(labels))],
    }


def _pickled(content: dict[str, Any]) -> bytes:
    return pickle.dumps(content, protocol=2)


WRITERS: dict[str, Callable[[Path, Amount], Path]] = {
    "imagenet": write_imagenet,
    "cifar10": write_cifar10,
}
"""By the dataset that is imitated."""


def _check(classes: int | None, known: int) -> None:
    if classes is not None and classes > known:
        raise SpecError(f"{classes} classes are asked for; the dataset has {known}.")


def _written(folder: Path, write: Callable[[Path], None]) -> Path:
    """Let ``write`` fill ``folder``, which must be a new one: a real dataset is never replaced."""
    if folder.exists():
        raise advise(
            "There are data already", folder, "name another folder (--to), or delete this one first"
        )

    def marked(draft: Path) -> None:
        write(draft)
        (draft / MADE_UP).write_text(
            "Random noise, made by 'bitswitch data fake'. What networks learn here means nothing.\n"
        )

    replace_folder(folder, marked)
    return folder
