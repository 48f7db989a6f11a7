import pytest
import torch

from bitswitch.contracts.streams import Stream
from bitswitch.data.rendering import render
from bitswitch.errors import DatasetError, SpecError
from bitswitch.plugins import registry
from bitswitch.runtime.randomness import generator

CPU = torch.device("cpu")
SMALL = {"train": 40, "held_out": 20, "test": 30}


@pytest.fixture
def prepared(tmp_path):
    dataset = registry.create("datasets", "digits-folder", SMALL)
    dataset.prepare(tmp_path)
    return dataset, tmp_path


def test_the_files_lie_in_imagenets_layout(prepared):
    dataset, root = prepared
    folder = dataset.folder(root)
    assert sorted(path.name for path in (folder / "train").iterdir()) == list("0123456789")
    assert len(list(folder.glob("train/*/*.jpg"))) == 60
    assert len(list(folder.glob("val/*/*.jpg"))) == 30
    assert dataset.check(root)["train"] == "60"


def test_held_out_images_come_from_their_own_scans(prepared):
    dataset, root = prepared
    data = dataset.open(root, CPU)
    assert {split: data.size(split) for split in dataset.sizes()} == dataset.sizes()
    expected = render("held_out", 20, 40, 1.0)
    for image, index in zip(data.splits["held_out"].kept, range(20), strict=True):
        digit, repeat = divmod(index, 2)
        rendered = expected.images[10 * repeat + digit].float()
        seen = torch.tensor(list(image.getdata())).view(40, 40, 3).float()
        assert (seen - rendered).abs().mean() < 12  # JPEG


def test_batches_have_the_announced_shape(prepared):
    dataset, root = prepared
    data = dataset.open(root, CPU)
    for batch in (
        next(data.train_batches(8, Stream("training"), 0, 0)),
        next(data.batches("test", 8)),
    ):
        assert (
            batch.inputs.shape[1:]
            == dataset.example(1, generator("example")).inputs.shape[1:]
            == (3, 32, 32)
        )


def test_a_picture_is_seen_as_in_evaluation(prepared):
    dataset, root = prepared
    data = dataset.open(root, CPU)
    batch = next(data.batches("test", 3))
    for image, seen in zip(data.splits["test"].kept, batch.inputs, strict=False):
        assert torch.equal(dataset.network_input(image), seen)


def test_preparing_again_changes_nothing(prepared):
    dataset, root = prepared
    before = dataset.folder(root).stat().st_ino
    dataset.prepare(root)
    assert dataset.folder(root).stat().st_ino == before


def test_crops_share_the_files_and_rendering_does_not(tmp_path):
    changes = [{}, {"crop": 24}, {"flip": True}, {"size": 48}, {"difficulty": 0.5}, {"train": 90}]
    made = [registry.create("datasets", "digits-folder", change) for change in changes]
    folders = [dataset.folder(tmp_path) for dataset in made]
    assert folders[0] == folders[1] == folders[2]
    assert len(set(folders)) == 4


def test_missing_data_name_the_command(tmp_path):
    dataset = registry.create("datasets", "digits-folder", SMALL)
    with pytest.raises(DatasetError, match=r"not found: .*\n.*bitswitch data prepare"):
        dataset.open(tmp_path, CPU)


def test_a_missing_file_is_noticed_and_repaired(prepared):
    dataset, root = prepared
    next(dataset.folder(root).glob("train/3/*.jpg")).unlink()
    with pytest.raises(DatasetError, match="59 images instead of 60"):
        dataset.open(root, CPU)
    dataset.prepare(root)
    assert dataset.check(root)["train"] == "60"


def test_a_changed_file_fails_the_check(prepared):
    dataset, root = prepared
    one, other = sorted(dataset.folder(root).glob("val/3/*.jpg"))[:2]
    one.write_bytes(other.read_bytes())
    with pytest.raises(DatasetError, match="hash differs"):
        dataset.check(root)


def test_a_truncated_file_stops_training_before_it_starts(prepared):
    dataset, root = prepared
    path = next(dataset.folder(root).glob("train/3/*.jpg"))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DatasetError, match=f"Damaged image .*{path}"):
        dataset.open(root, CPU)


@pytest.mark.parametrize("options", [{"train": 45}, {"smallest_area": 0}, {"crops": 3}])
def test_impossible_options_are_refused(options):
    with pytest.raises(SpecError):
        registry.create("datasets", "digits-folder", options)
