import pytest
import torch
from torch import nn

from bitswitch.deployment.description import NORM_KINDS
from bitswitch.deployment.folding import fold, folded_norms
from bitswitch.errors import EncodingError
from bitswitch.nn.norms.pairs import BatchNormGrid
from bitswitch.nn.norms.shared import SharedBatchNorm
from bitswitch.nn.norms.switchable import SwitchableBatchNorm
from bitswitch.nn.norms.transitional import TransitionalBatchNorm
from bitswitch.nn.norms.with_float import FloatSwitchableBatchNorm

from .exported import lively

BITSET = (8, 4, 2)
KINDS = {
    "bits": SwitchableBatchNorm,
    "transition": TransitionalBatchNorm,
    "pair": BatchNormGrid,
}


def batch_norm(**options):
    return lively(nn.Sequential(nn.BatchNorm2d(5, **options)))[0].eval()


def distinct(norm):
    """Make every copy another one."""
    for index, name in enumerate(norm.copies):
        norm.weight.of(name).data.add_(index)
        norm.bias.of(name).data.sub_(index)
        norm.running_mean[index] += index
        norm.running_var[index] += index
    return norm.eval()


@pytest.mark.parametrize("affine", [True, False])
def test_folding_is_the_batch_norm_of_evaluation(affine):
    norm = nn.BatchNorm2d(5, affine=affine) if not affine else batch_norm()
    norm.running_var.uniform_(0.1, 9, generator=torch.Generator().manual_seed(0))
    norm.eval()
    multiplier, shift = fold(norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.eps)
    x = torch.randn(4, 5, 6, 6, generator=torch.Generator().manual_seed(1))
    folded = x * multiplier.view(-1, 1, 1) + shift.view(-1, 1, 1)
    torch.testing.assert_close(folded, norm(x), rtol=3e-7, atol=3e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_the_copy_is_that_of_training_for_all_bit_widths_before(kind):
    norm = distinct(KINDS[kind](batch_norm(), BITSET))
    folded = folded_norms(nn.Sequential(norm), BITSET)["0"]
    keys = NORM_KINDS[kind].keys(BITSET)
    assert folded.kind == kind
    x = torch.randn(2, 5, 3, 3, generator=torch.Generator().manual_seed(1))
    pairs = [(w, a) for w in BITSET for a in BITSET]
    for here in pairs:
        for before in pairs:
            norm.follow(here, before)
            row = keys.index(NORM_KINDS[kind].key(here, before))
            multiplier, shift = folded.multiplier[row], folded.shift[row]
            output = x * multiplier.view(-1, 1, 1) + shift.view(-1, 1, 1)
            torch.testing.assert_close(output, norm(x), rtol=1e-5, atol=2e-6)


def test_one_copy_for_all():
    plain = folded_norms(nn.Sequential(batch_norm()), BITSET)["0"]
    assert (plain.kind, plain.multiplier.shape) == ("shared", (1, 5))
    alone = distinct(BatchNormGrid(batch_norm(), BITSET))
    alone.alone = True
    first = folded_norms(nn.Sequential(alone), BITSET)["0"]
    assert (first.kind, first.multiplier.shape) == ("shared", (1, 5))
    assert torch.equal(first.multiplier, plain.multiplier)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (FloatSwitchableBatchNorm, "which copy of FloatSwitchableBatchNorm"),
        (SharedBatchNorm, "'0' cannot be exported: SharedBatchNorm"),
        (lambda norm, bitset: nn.BatchNorm2d(5, track_running_stats=False), "no statistics"),
    ],
)
def test_batch_norms_that_are_not_understood_are_named(make, message):
    with pytest.raises(EncodingError, match=message):
        folded_norms(nn.Sequential(make(batch_norm(), BITSET)), BITSET)
