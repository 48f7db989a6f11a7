import time

import pytest
import yaml

from bitswitch.errors import SpecError
from bitswitch.spec.yaml_files import read_yaml
from bitswitch.spec.yaml_text import MOST_BYTES, dump, parse


def laughs(item: str, again: str) -> str:
    lines = [f"a0: &a0 {item}"]
    return "\n".join(
        lines + [f"a{n}: &a{n} " + again.replace("@", f"*a{n - 1}") for n in range(1, 9)]
    )


REFUSED = {
    "a number of 5 000 digits": ("a: " + "9" * 5000, "line 1: a: 9999"),
    "an infinite number": ("a:\n  b: [1, .inf]", "line 2: a.b.1: .inf is no finite number"),
    "a number that overflows": ("a: -1e999", "-1e999 is no finite number"),
    "no number": ("a: .nan", ".nan is no finite number"),
    "an alias within itself": ("a: &x {b: [*x]}", "'*x' stands within what it refers to"),
    "aliases of aliases": (laughs("[x, x, x, x]", "[@, @, @, @, @, @, @, @]"), "more than 100,000"),
    "merged aliases": (laughs("{x: 1}", "{<<: [@, @, @, @, @, @, @, @]}"), "more than 100,000"),
    "many values": ("[" + "1," * 100_001 + "]", "more than 100,000 values"),
    "deep lists": ("a: " + "[" * 100_000, "line 1: more than 50 lists and mappings"),
    "deep mappings": ("{a: " * 100_000, "more than 50"),
    "deep aliases": (
        "\n".join(["- &c0 [1]", *(f"- &c{n} [*c{n - 1}]" for n in range(1, 99))]),
        "50",
    ),
    "an object of Python": ("a: !!python/object/apply:os.system [x]", "python/object"),
    "a set": ("a: !!set {b}", "tag 'tag:yaml.org,2002:set' is not read"),
    "bytes": ("a: !!binary aGk=", "is not read"),
    "a key that is nothing": ("a:\n  null: 1", "line 2: a key of a is read as nothing"),
    "a key that is a truth": ("true: 1", '"true" in quotes'),
    "a key that is a fraction": ("1.5: 1", '"1.5" in quotes'),
    "a key that is a list": ("? [a]\n: 1", "a key is a list or mapping"),
    "a key twice": ("a: 1\nb: 2\na: 3", "line 3: key 'a' is there already, in line 1"),
    "an inner key twice": (
        "a:\n  b: 1\n  b: 2",
        "line 3: key 'b' of a is there",
    ),
    "a number twice as key": ("a: {8: 1, '8': 2}", "key '8' of a is there already"),
    "two documents": ("a: 1\n---\nb: 2", "line 2: but found another document"),
    "an escape sequence": ('a: "\\u001b[2J"', "control character U+001B"),
    "a null character": ('a: "\\0"', "control character U+0000"),
    "a direction mark": ("a: x\u202ey", "direction mark U+202E"),
    "half a character": ('a: "\\ud800"', "line 1: found invalid Unicode"),
    "an unknown alias": ("a: *x", "line 1: found undefined alias"),
    "an open list": ("a: [1", "line 2: did not find"),
    "a merge key as value": ("a: <<", "'<<' is no value"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_one_quick_error_with_its_place(tmp_path, text, message):
    path = tmp_path / "suite.yaml"
    path.write_text(text)
    started = time.process_time()
    with pytest.raises(SpecError) as caught:
        read_yaml(path)
    assert time.process_time() - started < 1
    assert str(caught.value).startswith(f"{path} cannot be read: ")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_files_that_are_none_or_too_large_are_refused(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_text("# \n" * (MOST_BYTES // 3 + 1))
    for path, message in (
        (tmp_path, "it is no file"),
        (tmp_path / "pipe", "it is no file"),
        (tmp_path / "large", "more than 1 MiB"),
    ):
        with pytest.raises(SpecError, match=message):
            read_yaml(path)
    with pytest.raises(SpecError, match="it is no file"):
        read_yaml(type(tmp_path)("/dev/zero"))


@pytest.mark.parametrize("content", ["a: é".encode("latin-1"), "a: 1".encode("utf-16"), b"\x80PNG"])
def test_bytes_of_another_encoding_are_refused(tmp_path, content):
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(SpecError, match=r"byte \d is no UTF-8; save it as UTF-8"):
        read_yaml(tmp_path / "a.yaml")


def test_a_byte_order_mark_and_foreign_line_ends_are_read(tmp_path):
    (tmp_path / "a.yaml").write_bytes("a: é\r\nb: 2\r\n".encode("utf-8-sig"))
    assert read_yaml(tmp_path / "a.yaml") == {"a": "é", "b": 2}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, word) for word in ("no", "off", "yes", "On", "2020-01-01", "1:30", "0x10", "=")),
        *(("1e-3", 1e-3), ("1E5", 1e5), ("-.5", -0.5), ("3.", 3.0), ("010", 10), ("-8", -8)),
        *(("true", True), ("~", None), ("'1e-3'", "1e-3")),
    ],
)
def test_values_mean_what_they_say(text, value):
    found = parse(f"a: {text}")["a"]
    assert (found, type(found)) == (value, type(value))


def test_words_that_older_yaml_takes_for_truths_are_names():
    assert parse("{no: 1, 8: 2}") == {"no": 1, 8: 2}


def test_an_own_key_over_a_merged_one_is_no_second_one():
    text = "base: &base {x: 1, y: 1}\none: {<<: *base, x: 2}\ntwo: {<<: *base}"
    assert parse(text) == {
        "base": {"x": 1, "y": 1}, "one": {"x": 2, "y": 1}, "two": {"x": 1, "y": 1}
    }  # fmt: skip


@pytest.mark.parametrize("value", ["1e-3", "off", "no", "010", "1:30", "", "~", "é", "2020-01-01"])
def test_text_comes_back_as_text_from_every_yaml(value):
    text = dump({"a": value, "b": [1e-5, None, True, 7]})
    assert parse(text) == yaml.safe_load(text) == {"a": value, "b": [1e-5, None, True, 7]}
