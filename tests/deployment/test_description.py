import pytest
import torch
from pydantic import ValidationError

from bitswitch.deployment.description import NORM_KINDS, Description, LayerFacts
from bitswitch.deployment.signature import Signature
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
        ({"pinned": (8, 8), "signed": None}, "signed must be given"),
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


def test_a_layer_whose_input_stays_float_at_every_bit_width():
    layer = LayerFacts.model_validate(LAYER | {"signed": None})
    assert layer.bits({"l": (4, 8)}) == (4, 32)
    assert LayerFacts.model_validate(LAYER).bits({"l": (4, 8)}) == (4, 8)


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


FIELDS = {
    "run": "r",
    "method": {"name": "double-rounding"},
    "model": {"name": "resnet8"},
    "dataset": {"name": "digits"},
    "classes": 10,
    "bitset": (8, 4),
    "layers": [LAYER],
    "norms": [],
}


def test_images_are_written_as_their_shape():
    found = Description.model_validate(FIELDS | {"image": (3, 8, 8)})
    assert found.input == Signature.of_inputs(torch.zeros(1, 3, 8, 8))
    assert found.output == Signature.of_logits([10])
    content = found.model_dump(mode="json")
    assert content["image"] == [3, 8, 8]
    assert not {"input", "output"} & set(content)
    assert Description.model_validate(content) == found


def test_tokens_are_written_with_what_comes_out():
    tokens = {"name": "tokens", "dtype": "int64", "shape": (16,)}
    logits = {"name": "logits", "dtype": "float32", "shape": (16, 10)}
    found = Description.model_validate(FIELDS | {"input": tokens, "output": logits})
    content = found.model_dump(mode="json")
    assert "image" not in content
    assert Description.model_validate(content) == found
    assert found.input.zeros(2).dtype == torch.int64
    assert found.input.noise(4, 10).unique().tolist() == list(range(10))


def test_a_batch_norm_follows_switchable_layers():
    fields = FIELDS | {"image": (3, 8, 8)}
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
