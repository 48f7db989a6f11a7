import pytest
import torch

from bitswitch.runtime.products import multiply_exactly, multiplying

KINDS = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)


def precisions():
    return [kind.fp32_precision for kind in KINDS]


@pytest.fixture(autouse=True)
def as_before():
    before = precisions()
    yield
    for kind, value in zip(KINDS, before, strict=True):
        kind.fp32_precision = value


def fail_inside(precision):
    with multiplying(precision):
        assert precisions() == [precision] * 3
        raise ZeroDivisionError


def test_products_are_exact_until_others_are_asked_for_and_again_afterwards():
    multiply_exactly()
    assert precisions() == ["ieee"] * 3
    with pytest.raises(ZeroDivisionError):
        fail_inside("tf32")
    assert precisions() == ["ieee"] * 3
