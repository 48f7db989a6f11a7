import pytest
import torch

from bitswitch.contracts.data import Batch
from bitswitch.deployment.export import refuse
from bitswitch.errors import EncodingError
from bitswitch.methods.any_precision_llm.any_precision_llm import squared_gradients
from bitswitch.methods.any_precision_llm.tables import TableQuantizer
from bitswitch.plugins import facts
from bitswitch.quant.granularity import PER_TENSOR, PerChannel, PerGroup
from bitswitch.quant.quantizer import Width
from bitswitch.testing.subject import TASK, Subject, batch
from bitswitch.types import FLOAT_BITS

BITSET = (8, 4, 3, 2)
WIDTHS = [Width.of(bits, BITSET) for bits in BITSET]
DRAW = torch.Generator().manual_seed(0)
WEIGHT = torch.randn(6, 32, generator=DRAW)
IMPORTANCE = torch.rand(6, 32, generator=DRAW)


def fitted(granularity=PerChannel(), seed=2):  # noqa: B008  # it never changes
    quantizer = TableQuantizer(WEIGHT, BITSET, granularity)
    quantizer.fit(WEIGHT, IMPORTANCE, seed)
    return quantizer


@pytest.mark.parametrize("granularity", [PerChannel(), PER_TENSOR, PerGroup(16)])
@pytest.mark.parametrize("fit", [False, True])
def test_upper_bits_of_labels_are_places_in_the_table(granularity, fit):
    quantizer = fitted(granularity) if fit else TableQuantizer(WEIGHT, BITSET, granularity)
    rows = len(granularity.rows(WEIGHT))
    labels = granularity.rows(quantizer.labels).tolist()
    start = 0
    for width in WIDTHS:
        bits = int(width.bits)
        table = quantizer.values[:, start : start + 2**bits].tolist()
        expected = [
            [table[row][label >> (8 - bits)] for label in labels[row]] for row in range(rows)
        ]
        assert granularity.rows(quantizer(WEIGHT, width)).tolist() == expected
        start += 2**bits
    assert start == quantizer.values.shape[1]


def test_more_bits_err_less_and_clusters_less_than_even_intervals():
    clustered, even = fitted(), TableQuantizer(WEIGHT, BITSET, PerChannel())
    before = 0.0
    for width in WIDTHS:
        errors = [
            float((IMPORTANCE * (one(WEIGHT, width) - WEIGHT).square()).sum())
            for one in (clustered, even)
        ]
        assert before <= errors[0] < errors[1]
        before = errors[0]


def test_zeros_do_not_count():
    weight = torch.cat([torch.zeros(1, 20), torch.tensor([[1.0, 1.1, 2.0, 2.1]])], 1)
    quantizer = TableQuantizer(weight, (3, 2), PerChannel())
    quantizer.fit(weight, torch.ones_like(weight), 2)
    errors = quantizer(weight, Width.of(2, (3, 2))) - weight
    assert errors[0, 20:].abs().max() < 1e-6


def test_weights_get_every_gradient():
    x = WEIGHT.clone().requires_grad_()
    (grad,) = torch.autograd.grad(fitted()(x, WIDTHS[-1]).sum(), x)
    assert torch.equal(grad, torch.ones_like(x))


def test_importance_is_the_sum_of_squared_gradients_of_single_examples():
    model = Subject.of("any-precision-llm").train_state().model.eval()
    whole = batch()
    singles = [Batch(*(part[i : i + 1] for part in whole)) for i in range(3)]
    found = squared_gradients(model, singles, TASK)
    expected = [torch.zeros_like(total) for total in found]
    for single in singles:
        model.zero_grad()
        with model.at(FLOAT_BITS):
            TASK.loss(model(single.inputs), single.targets).backward()
        for total, layer in zip(expected, model.layers.values(), strict=True):
            total += layer.weight.grad**2
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


def test_there_are_no_integers_to_export():
    with pytest.raises(EncodingError, match="table"):
        fitted().encode(WEIGHT, WIDTHS[0])
    with pytest.raises(EncodingError, match="looks weights up in tables"):
        refuse(Subject.of("any-precision-llm").spec)


def test_seeds_of_more_bits_than_the_narrowest_are_refused():
    spec = Subject.of("any-precision-llm", {"seed_bits": 3}, (4, 3)).spec
    assert facts.refusal(spec) is None
    narrower = spec.model_copy(update={"bitset": (4, 2)})
    assert "3 bits give no weights of 2 bits" in facts.refusal(narrower)
