import os
from pathlib import Path

import pytest

from bitswitch.runtime import cache


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FOLDER", tmp_path / "cache")
    return tmp_path / "cache"


def test_a_value_is_computed_once():
    answers = iter([1, 2])
    assert [cache.remembered("s", "key", lambda: next(answers)) for _ in range(2)] == [1, 1]


def test_a_value_outlives_the_process():
    cache.remembered("s", "key", lambda: {"a": 1})
    cache._store.cache_clear()
    assert cache.remembered("s", "key", lambda: pytest.fail("computed again")) == {"a": 1}


def test_what_another_process_has_computed_since_is_not_computed_again(folder):
    """As jobs that are forked from one process, which knew nothing of it then."""
    cache.remembered("s", "early", lambda: 1)
    with (folder / "s.jsonl").open("a") as file:
        file.write(cache._line("late", 2))
        file.write(cache._line("unfinished", 3)[:-4])
    assert cache.remembered("s", "late", lambda: pytest.fail("computed again")) == 2
    assert cache.remembered("s", "unfinished", lambda: 4) == 4


def test_a_store_that_was_deleted_begins_anew(folder):
    for key in ("a", "b", "d"):
        cache.remembered("s", key, lambda: 1)
    (folder / "s.jsonl").write_text(cache._line("c", 2))
    assert cache.remembered("s", "c", lambda: pytest.fail("computed again")) == 2


@pytest.mark.parametrize(
    "content",
    [
        *("{", "[1]", "", '["key", 2', "1", "[[1], 2]", "[" * 100_000, '["key", 2]'),
        '00000000 ["key", 2]',
        cache._line("key", 2).replace("2]", "4]"),
        '00000000 ["key", ' + "1" * 5000 + "]",
    ],
)
def test_a_damaged_line_is_passed_over(folder, content):
    cache.remembered("s", "other", lambda: 5)
    cache._store.cache_clear()
    with (folder / "s.jsonl").open("a") as file:
        file.write(f"{content}\n")
    assert cache.remembered("s", "key", lambda: 3) == 3
    assert cache.remembered("s", "other", lambda: pytest.fail("computed again")) == 5


def test_a_store_grows_by_a_line(folder):
    for key in ("a", "b"):
        cache.remembered("s", key, lambda: {"x": 1})
    assert (folder / "s.jsonl").read_text() == "".join(
        cache._line(key, {"x": 1}) for key in ("a", "b")
    )


def test_a_store_that_has_grown_large_is_dropped(folder, monkeypatch):
    monkeypatch.setattr(cache, "MOST_LINES", 2)
    folder.mkdir()
    (folder / "s.jsonl").write_text('["a", 1]\n' * 3)
    assert cache.remembered("s", "a", lambda: 2) == 2


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_store_that_cannot_be_written_is_done_without(folder):
    folder.mkdir(mode=0o500)
    assert cache.remembered("s", "key", lambda: 3) == 3


def test_a_digest_stands_for_content():
    assert cache.digest({"a": 1}, (2,)) == cache.digest({"a": 1}, [2])
    assert cache.digest({"a": 1}) != cache.digest({"a": 2})


def test_code_state_follows_edits(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "edited_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    states = []
    for text in ("x = 1\n", "x = 22\n"):
        (package / "inner.py").write_text(text)
        cache._state_of.cache_clear()
        states.append(cache.code_state("edited_package.inner:Thing"))
    assert states[0] != states[1]
    assert cache.code_state("no_such_package") == "absent"


def test_code_state_imports_nothing(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    Path(tmp_path, "raising_module.py").write_text("raise RuntimeError\n")
    assert cache.code_state("raising_module") != "absent"
