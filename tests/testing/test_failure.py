import pytest

from bitswitch.errors import PluginError
from bitswitch.testing.failure import CheckFailed, require


def test_a_failure_says_what_and_what_next():
    with pytest.raises(CheckFailed) as caught:
        require(False, "It is round.", "Make it square.")
    assert (caught.value.problem, caught.value.remedy) == ("It is round.", "Make it square.")
    assert str(caught.value) == "It is round.\n  Make it square."
    assert isinstance(caught.value, PluginError)


def test_what_holds_is_silent():
    require(True, "", "")
