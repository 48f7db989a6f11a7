import shutil

import pytest

from bitswitch.data.layout import Expected, Layout, facts
from bitswitch.errors import DatasetError

CLASSES = ["n01", "n02", "n03"]
SPLITS = {"train": Expected(15, fewest=4, most=6), "val": Expected(6, fewest=2, most=2)}
LAYOUT = Layout(CLASSES, SPLITS, "do this", "synsets")


def refused(folder, match, layout=LAYOUT, remedy="do this"):
    with pytest.raises(DatasetError, match=match) as caught:
        layout.verify(folder)
    assert str(caught.value).endswith(remedy)
    assert str(folder) in str(caught.value)


def checked(folder):
    return facts(LAYOUT.verify(folder), "do this")


def test_a_complete_folder_is_accepted(image_folder):
    found = LAYOUT.verify(image_folder)
    assert found["train"].targets.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert found["val"].path(2) == image_folder / "val" / "n02" / "000.JPEG"
    assert facts(found, "do this") == {
        "folder": str(image_folder),
        "train": "15",
        "val": "6",
        "decoded": "6",
    }


def test_an_absent_folder(tmp_path):
    refused(tmp_path / "imagenet", "Data not found")


@pytest.mark.parametrize("split", ["train", "val"])
def test_an_absent_split(image_folder, split):
    shutil.rmtree(image_folder / split)
    refused(image_folder, f"Folder not found: .*{split}")


def test_validation_images_without_class_folders(image_folder):
    for image in list((image_folder / "val").rglob("*.JPEG")):
        image.rename(image_folder / "val" / f"{image.parent.name}_{image.name}")
    for folder in list((image_folder / "val").iterdir()):
        if folder.is_dir():
            folder.rmdir()
    refused(image_folder, "6 files and no class folders; expected one folder per class")


def test_archives_that_are_not_unpacked(image_folder):
    shutil.rmtree(image_folder / "train")
    (image_folder / "train").mkdir()
    for name in ("n01", "n02", "n03"):
        (image_folder / "train" / f"{name}.tar").touch()
    refused(image_folder, "3 archives that are not unpacked")


def test_a_missing_class_is_named(image_folder):
    shutil.rmtree(image_folder / "val" / "n02")
    refused(image_folder, "2 class folders instead of 3, missing: n02")


def test_a_missing_class_in_both(image_folder):
    layout = LAYOUT._replace(classes=[*CLASSES, "n04"])
    refused(image_folder, "3 class folders instead of 4, missing: n04", layout)


def test_classes_of_other_names_are_told_what_they_are_called_by(image_folder):
    for split in SPLITS:
        for number, name in enumerate(CLASSES):
            (image_folder / split / name).rename(image_folder / split / str(number))
    refused(
        image_folder,
        r"3 class folders, missing: n01, n02, n03; not expected: 0, 1, 2: .*train"
        r"\n  class folders are called by synsets, sorted, n01 first: rename yours",
    )


def test_a_class_too_many_is_named_and_nothing_is_to_be_fetched(image_folder):
    shutil.copytree(image_folder / "val" / "n02", image_folder / "val" / "n02 (copy)")
    refused(
        image_folder,
        r"4 class folders instead of 3, not expected: n02 \(copy\): .*val",
        remedy="move what is not expected somewhere else",
    )


STRAYS = [
    "train/.ipynb_checkpoints/n01-checkpoint.JPEG",
    "train/@eaDir/n01/SYNO.JPEG",
    "train/lost+found/x.JPEG",
    "train/n01/._000.JPEG",
    "train/n01/@eaDir/000.JPEG",
    "train/n01/.ipynb_checkpoints/000-checkpoint.JPEG",
    "val/.DS_Store",
    "val/Thumbs.db",
]


def test_what_file_managers_leave_is_passed_over(image_folder):
    before = checked(image_folder)
    files = LAYOUT.verify(image_folder)["train"]
    for name in STRAYS:
        path = image_folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0\5\x16\7")
    assert checked(image_folder) == before
    assert LAYOUT.verify(image_folder)["train"].names.tolist() == files.names.tolist()


def test_a_missing_image(image_folder):
    (image_folder / "train" / "n03" / "004.JPEG").unlink()
    refused(image_folder, "14 images instead of 15: .*train")


def test_a_class_of_too_many_images_is_named(image_folder):
    first = image_folder / "val" / "n02" / "000.JPEG"
    shutil.copy(first, first.with_name("000 (copy).JPEG"))
    refused(image_folder, r"7 images instead of 6 \(n02 has 3 instead of 2\): .*val")


def test_images_that_cannot_be_read_are_found_before_a_run(image_folder):
    folder = image_folder / "train" / "n02"
    (folder / "003.JPEG").write_bytes(b"")
    (folder / "004.JPEG").unlink()
    (folder / "004.JPEG").symlink_to(image_folder / "nowhere.JPEG")
    with pytest.raises(DatasetError) as caught:
        checked(image_folder)
    for part in (
        "2 images that cannot be read (n02/003.JPEG: empty, n02/004.JPEG: No such file",
        str(image_folder / "train"),
    ):
        assert part in str(caught.value)


def test_an_empty_class(image_folder):
    for image in (image_folder / "val" / "n03").iterdir():
        image.unlink()
    refused(image_folder, "n03")


def test_a_damaged_image_is_named(image_folder):
    path = image_folder / "val" / "n02" / "000.JPEG"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DatasetError, match=f"Damaged image .*{path}"):
        facts(LAYOUT.verify(image_folder), "do this")
