import numpy as np
import pytest

from bitswitch.data import files
from bitswitch.errors import DatasetError

ARRAYS = {"a": np.arange(6, dtype=np.uint8).reshape(2, 3), "b": np.array([1, 2])}


def test_arrays_come_back_as_written(tmp_path):
    path = tmp_path / "new" / "arrays.npz"
    files.save_arrays(path, ARRAYS)
    loaded = files.load_arrays(path, "make it")
    assert loaded.keys() == ARRAYS.keys()
    for name, value in ARRAYS.items():
        np.testing.assert_array_equal(loaded[name], value)
    assert list(path.parent.iterdir()) == [path]


def test_the_same_content_gives_the_same_file(tmp_path):
    for name in ("one.npz", "two.npz"):
        files.save_arrays(tmp_path / name, ARRAYS)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


@pytest.mark.parametrize(
    "changed",
    [
        {"a": ARRAYS["a"]},
        {**ARRAYS, "b": np.array([2, 1])},
        {**ARRAYS, "b": np.array([1.0, 2.0])},
        {"a": ARRAYS["a"].reshape(3, 2), "b": ARRAYS["b"]},
        {"c": ARRAYS["a"], "b": ARRAYS["b"]},
    ],
)
def test_the_hash_sees_every_change(changed):
    assert files.content_hash(changed) != files.content_hash(ARRAYS)


def test_absent_arrays_name_the_path_and_the_remedy(tmp_path):
    with pytest.raises(DatasetError, match=r"not found: .*gone.npz\n  make it"):
        files.load_arrays(tmp_path / "gone.npz", "make it")


@pytest.mark.parametrize("keep", [0, 10, 200])
def test_truncated_arrays_are_damaged(tmp_path, keep):
    path = tmp_path / "arrays.npz"
    files.save_arrays(path, ARRAYS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DatasetError, match="Damaged"):
        files.load_arrays(path, "make it")


def test_arrays_of_another_hash_are_damaged(tmp_path):
    path = tmp_path / "arrays.npz"
    np.savez(path, sha256=np.array("0" * 64), **ARRAYS)
    with pytest.raises(DatasetError, match="hash differs"):
        files.load_arrays(path, "make it")


def test_arrays_that_need_code_are_refused(tmp_path):
    path = tmp_path / "arrays.npz"
    np.savez(path, a=np.array([print], dtype=object))
    with pytest.raises(DatasetError, match="Damaged"):
        files.load_arrays(path, "make it")


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path):
    path = tmp_path / "arrays.npz"
    path.write_text("old")

    def disk_full(draft):
        draft.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(DatasetError, match="No space left on device"):
        files.replace_atomically(path, disk_full)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_replaces_the_old_one_in_one_step(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "old").touch()
    files.replace_folder(folder, lambda draft: (draft / "new").touch())
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "old").touch()

    def disk_full(draft):
        raise OSError(28, "No space left on device")

    with pytest.raises(DatasetError, match="Cannot write data"):
        files.replace_folder(folder, disk_full)
    assert [path.name for path in folder.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_hash_sees_names_and_contents(tmp_path):
    (tmp_path / "a").write_text("1")
    first = files.folder_hash(tmp_path, "*")
    (tmp_path / "a").write_text("2")
    second = files.folder_hash(tmp_path, "*")
    (tmp_path / "a").rename(tmp_path / "b")
    assert len({first, second, files.folder_hash(tmp_path, "*")}) == 3
