import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bitswitch.contracts.streams import Stream
from bitswitch.data.memory import InMemory, Split, Transform
from bitswitch.runtime.randomness import generator

TRAINING = Stream("training")
CPU = torch.device("cpu")
HEIGHT, WIDTH = 5, 4


def split(count: int) -> Split:
    draw = torch.Generator().manual_seed(count)
    images = torch.randint(256, (count, HEIGHT, WIDTH, 3), generator=draw, dtype=torch.uint8)
    return Split(images, torch.arange(count) % 3)


def opened(padding: int = 2, flip: bool = True) -> InMemory:
    look = Transform((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255), padding, flip)
    return InMemory({"train": split(23), "test": split(7)}, look, CPU)


def windows(image: torch.Tensor, padding: int, flip: bool) -> list[torch.Tensor]:
    """Every crop of one image [height, width, 3], pixel by pixel."""
    found = []
    for top in range(2 * padding + 1):
        for left in range(2 * padding + 1):
            crop = torch.zeros(3, HEIGHT, WIDTH)
            for row in range(HEIGHT):
                for column in range(WIDTH):
                    y, x = row + top - padding, column + left - padding
                    if 0 <= y < HEIGHT and 0 <= x < WIDTH:
                        crop[:, row, column] = image[y, x].float()
            found.append(crop)
            if flip:
                found.append(crop.flip(2))
    return found


@given(padding=st.integers(0, 2), flip=st.booleans(), seed=st.integers(0, 3))
@settings(max_examples=8, deadline=None)
def test_training_images_are_crops_of_the_padded_image(padding, flip, seed):
    data = opened(padding, flip)
    batch = next(data.train_batches(3, TRAINING, seed=seed, skip=0))
    for image, index in zip(batch.inputs, batch.indices, strict=True):
        candidates = windows(data.splits["train"].images[index], padding, flip)
        assert min((image - window).abs().max() for window in candidates) < 1e-3


def test_every_corner_and_mirroring_occurs():
    image = torch.arange(HEIGHT * WIDTH * 3).view(1, HEIGHT, WIDTH, 3).to(torch.uint8)
    same = Split(image.expand(2000, -1, -1, -1), torch.zeros(2000, dtype=torch.int64))
    look = Transform((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255), 1, True)
    data = InMemory({"train": same, "test": same}, look, CPU)
    images = next(data.train_batches(2000, TRAINING, 0, 0)).inputs.round()
    assert len(images.unique(dim=0)) == 3 * 3 * 2


def test_an_epoch_shows_each_image_once_and_drops_the_incomplete_batch():
    batches = list(opened().train_batches(5, TRAINING, seed=0, skip=0))
    indices = torch.cat([batch.indices for batch in batches])
    assert len(batches) == 4
    assert len(indices.unique()) == 20


@pytest.mark.parametrize("skip", [0, 1, 3, 4])
def test_a_resumed_epoch_continues_with_the_very_batches(skip):
    whole = list(opened().train_batches(5, Stream("training", 2), seed=1, skip=0))
    torch.rand(3)
    rest = list(opened().train_batches(5, Stream("training", 2), seed=1, skip=skip))
    assert len(rest) == 4 - skip
    for expected, batch in zip(whole[skip:], rest, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(expected, batch, strict=True))


def test_epochs_and_seeds_differ():
    data = opened()
    first, epoch, seed = (
        next(data.train_batches(5, stream, seed, 0)).indices.tolist()
        for stream, seed in ((TRAINING, 0), (Stream("training", 1), 0), (TRAINING, 1))
    )
    assert first != epoch != seed != first


@pytest.mark.parametrize("stream", [Stream("training", 2), Stream("recalibration")])
def test_the_order_is_drawn_from_seed_and_key(stream):
    found = torch.cat([batch.indices for batch in opened().train_batches(1, stream, 5, 0)])
    assert torch.equal(found, torch.randperm(23, generator=generator("epoch", 5, stream.key)))


def test_reading_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    data = opened()
    list(data.train_batches(5, TRAINING, 0, 0))
    list(data.batches("test", 5))
    assert torch.equal(torch.get_rng_state(), state)


def test_evaluation_reads_all_images_in_order_as_they_are():
    data = opened()
    batches = list(data.batches("test", 3))
    assert [len(batch.targets) for batch in batches] == [3, 3, 1]
    images = torch.cat([batch.inputs for batch in batches])
    torch.testing.assert_close(images, data.splits["test"].images.permute(0, 3, 1, 2).float())
    assert torch.equal(torch.cat([batch.indices for batch in batches]), torch.arange(7))
    assert torch.equal(torch.cat([batch.targets for batch in batches]), torch.arange(7) % 3)
    assert data.size("test") == 7


def test_batches_are_contiguous_float():
    batch = next(opened().train_batches(5, TRAINING, 0, 0))
    assert batch.inputs.is_contiguous()
    assert batch.inputs.dtype == torch.float32
    assert batch.targets.dtype == batch.indices.dtype == torch.int64


class Crossings(TorchDispatchMode):
    """Counts operations that see tensors of two devices: copies from one to the other."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        tensors = [one for one in tree_leaves((args, kwargs, result)) if torch.is_tensor(one)]
        self.count += len({one.device for one in tensors}) > 1
        return result


def test_an_epoch_moves_its_order_crops_and_flips_to_the_device_and_no_batch_anything():
    cpu = opened()
    data = InMemory(cpu.splits, cpu.look, torch.device("meta"))
    with Crossings() as crossings:
        batches = data.train_batches(5, TRAINING, 0, 0)
        next(batches)
        assert crossings.count == 3
        assert len(list(batches)) == 3
        assert len(list(data.batches("test", 3))) == 3
    assert crossings.count == 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_are_the_same_on_the_gpu():
    cpu = opened()
    gpu = InMemory(cpu.splits, cpu.look, torch.device("cuda"))
    pairs = zip(
        cpu.train_batches(5, TRAINING, 0, 0), gpu.train_batches(5, TRAINING, 0, 0), strict=True
    )
    for expected, batch in pairs:
        assert batch.inputs.is_cuda
        torch.testing.assert_close(batch.inputs.cpu(), expected.inputs)
        assert torch.equal(batch.indices.cpu(), expected.indices)
