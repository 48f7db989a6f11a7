import pytest
from pydantic import ValidationError

from bitswitch.deployment.description import NORM_KINDS, Description, LayerFacts
from bitswitch.nn.norms.pairs import pairs
from bitswitch.nn.norms.transitional import transitions

LAYER = {"name": "l", "widths": (8, 4), "pinned": None, "rounding": "half-even", "signed": False}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": (4, 8)}, "widest first"),
        ({"widths": (8, 8)}, "widest first"),
        ({"widths": ()}, "at least 1"),
        ({"widths": (8, 1)}, "greater than or equal to 2"),
        ({"signed": None}, "signed must be given"),
        ({"pinned": (8, 32)}, "signed must be given"),
        ({"pinned": (6, 8)}, r"pinned to \[6, 8\]"),
        ({"pinned": (8, 6)}, r"pinned to \[8, 6\]"),
        ({"rounding": "none"}, "does not fit 2 widths"),
        ({"widths": (8,)}, "does not fit 1 widths"),
        ({"input_granularity": "per-token"}, "have a sign"),
        ({"input_granularity": "per-channel"}, "'per-tensor' or 'per-token'"),
    ],
)
def test_facts_that_contradict_each_other(change, message):
    with pytest.raises(ValidationError, match=message):
        LayerFacts.model_validate(LAYER | change)


def test_a_layer_of_one_bitwidth():
    one = LAYER | {"widths": (8,), "rounding": "none", "pinned": (8, 32), "signed": None}
    assert LayerFacts.model_validate(one).pinned == (8, 32)


def test_every_copy_of_a_batch_norm_has_a_key():
    bitset = (8, 4, 2)
    operands = [(w, a) for w in bitset for a in bitset]
    for kind, keys in (
        ("bits", bitset),
        ("transition", transitions(bitset)),
        ("pair", pairs(bitset)),
    ):
        found = {NORM_KINDS[kind].key(here, before) for here in operands for before in operands}
        assert found == set(NORM_KINDS[kind].keys(bitset)) == set(keys)


def test_a_batch_norm_follows_switchable_layers():
    fields = {
        "run": "r",
        "method": {"name": "double-rounding"},
        "model": {"name": "resnet8"},
        "dataset": {"name": "digits"},
        "classes": 10,
        "image": (3, 8, 8),
        "bitset": (8, 4),
        "layers": [LAYER],
    }
    norm = {"name": "n", "kind": "transition", "follows": ("l", None)}
    found = Description.model_validate({**fields, "norms": [norm]})
    assert found.norms[0].follows == ("l", None)
    assert Description.model_validate_json(found.model_dump_json()) == found
    with pytest.raises(ValidationError, match="'n' follows what is no switchable layer"):
        Description.model_validate({**fields, "norms": [norm | {"follows": ("m", "l")}]})


def test_what_files_had_no_word_for_is_written_where_it_is_used_alone():
    assert "input_granularity" not in LayerFacts.model_validate(LAYER).model_dump(mode="json")
    fine = LAYER | {"signed": True, "input_granularity": "per-token"}
    assert LayerFacts.model_validate(fine).model_dump(mode="json")["signed"] is True
    assert LayerFacts.model_validate(LayerFacts.model_validate(fine).model_dump()).signed
