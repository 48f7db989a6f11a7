import shutil

import pytest

from bitswitch.data.layout import facts, verify
from bitswitch.errors import DatasetError

COUNTS = {"train": 15, "val": 6}


def refused(folder, match, classes=3):
    with pytest.raises(DatasetError, match=match) as caught:
        verify(folder, classes, COUNTS, "do this")
    assert str(caught.value).endswith("do this")
    assert str(folder) in str(caught.value)


def test_a_complete_folder_is_accepted(image_folder):
    found = verify(image_folder, 3, COUNTS, "do this")
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
    refused(image_folder, "3 class folders instead of 4", classes=4)


def test_classes_of_other_names(image_folder):
    (image_folder / "val" / "n02").rename(image_folder / "val" / "n2")
    refused(image_folder, r"different class folders \(n02, n2\)")


def test_a_missing_image(image_folder):
    (image_folder / "train" / "n03" / "004.JPEG").unlink()
    refused(image_folder, "14 images instead of 15")


def test_an_empty_class(image_folder):
    for image in (image_folder / "val" / "n03").iterdir():
        image.unlink()
    refused(image_folder, "n03")


def test_a_damaged_image_is_named(image_folder):
    path = image_folder / "val" / "n02" / "000.JPEG"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DatasetError, match=f"Damaged image .*{path}"):
        facts(verify(image_folder, 3, COUNTS, "do this"), "do this")
