import pytest

from bitswitch.contracts.sensitivity import Score, Scores
from bitswitch.errors import SpecError

LAYERS = Scores((Score("a", "layer", None, 3.0), Score("b", "layer", None, -1.0)), "trace")
BY_BITS = Scores((Score("a", "layer", 4, 0.5), Score("a", "layer", 2, 8.0)), "error")
OPERANDS = Scores(
    (
        Score("a", "weight", 4, 0.25),
        Score("a", "weight", 2, 1.0),
        Score("a", "activation", 4, 0.5),
        Score("a", "activation", 2, 3.0),
    ),
    "steps",
)
WEIGHTS = Scores((Score("a", "weight", 4, 0.25),), "weights")


def test_layers_have_a_score_whatever_their_bit_width():
    assert (LAYERS.of_layer("a"), LAYERS.of_layer("b")) == (3.0, -1.0)
    assert not LAYERS.by_bits


def test_a_score_of_the_layer_is_that_of_its_weights_bit_width():
    assert BY_BITS.of_policy("a", 2, 4) == 8.0
    assert BY_BITS.of_policy("a", 4, 2, factor=2.0) == 0.5
    assert BY_BITS.by_bits


def test_operands_add_up_with_a_factor_on_weights():
    assert OPERANDS.of_policy("a", 4, 2) == 3.25
    assert OPERANDS.of_policy("a", 2, 4, factor=2.0) == 2.5
    assert OPERANDS.by_bits


def test_inputs_that_are_not_scored_count_nothing():
    assert WEIGHTS.of_policy("a", 4, 2) == 0.25


@pytest.mark.parametrize(
    ("look", "message"),
    [
        (lambda: BY_BITS.of_layer("a"), "'error' scores no layer 'a' of its own"),
        (lambda: LAYERS.of_layer("c"), "'trace' scores no layer 'c' of its own"),
        (lambda: LAYERS.of_policy("a", 4, 4), "'trace' scores no weight 'a' at 4 bits"),
        (lambda: OPERANDS.of_policy("a", 8, 4), "'steps' scores no weight 'a' at 8 bits"),
    ],
)
def test_a_score_that_is_missing_is_named(look, message):
    with pytest.raises(SpecError, match=message) as error:
        look()
    assert "Take a sensitivity whose scores fit the search" in str(error.value)
