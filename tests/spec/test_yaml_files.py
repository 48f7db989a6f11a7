import pytest
from pydantic import ValidationError

from bitswitch.errors import SpecError
from bitswitch.spec.yaml_files import explained, merge, read_yaml
from bitswitch.suite.suite import Suite
from bitswitch.types import Strict


class Inner(Strict):
    colour: str = "red"


class Outer(Strict):
    inner: Inner
    count: int = 1


def test_every_problem_is_a_line_that_names_its_place():
    with pytest.raises(SpecError) as caught, explained("the file"):
        Outer.model_validate({"inner": {"color": "blue"}, "count": "many"})
    first, *lines = str(caught.value).splitlines()
    assert first == "the file cannot be used:"
    assert lines[0] == "  inner.color: unknown key. Did you mean 'colour'?"
    assert lines[1].startswith("  count: Input should be a valid integer")


def test_an_inner_message_keeps_its_text():
    with pytest.raises(SpecError, match="outer: inner"), explained("outer"):
        raise SpecError("inner")


def test_other_errors_pass():
    with pytest.raises(ZeroDivisionError), explained("here"):
        raise ZeroDivisionError


def test_validation_errors_do_not_leak():
    with pytest.raises(SpecError) as caught, explained("here"):
        Outer.model_validate({})
    assert not isinstance(caught.value, ValidationError)
    assert caught.value.__suppress_context__


def test_merging_leaves_its_arguments_alone():
    base = {"a": {"b": 1}, "c": [1, 2]}
    assert merge(base, {"a": {"d": 2}, "c": [3]}) == {"a": {"b": 1, "d": 2}, "c": [3]}
    assert base == {"a": {"b": 1}, "c": [1, 2]}


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: [1", b"a: b: c"])
def test_a_file_that_is_no_yaml_is_named(tmp_path, content):
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=r"broken\.yaml cannot be read"):
        read_yaml(path)


def test_options_of_plugins_are_no_keys_of_suites():
    class ToyOptions(Strict):
        seedz_: int = 0

    with pytest.raises(SpecError, match=r"unknown key.*Did you mean 'seed"), explained("here"):
        Suite.model_validate({"seedz": [0]})
    assert ToyOptions().seedz_ == 0
