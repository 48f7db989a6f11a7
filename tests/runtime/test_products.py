import pytest
import torch

from bitswitch.runtime.products import multiply_exactly, multiplying

KINDS = (torch.backends.cuda.matmul, torch.backends.cudnn)


def allowed():
    return [kind.allow_tf32 for kind in KINDS]


@pytest.fixture(autouse=True)
def as_before():
    before = allowed()
    yield
    for kind, value in zip(KINDS, before, strict=True):
        kind.allow_tf32 = value


def fail_inside():
    with multiplying(tf32=True):
        assert allowed() == [True, True]
        assert torch.get_float32_matmul_precision() == "high"  # which fails on a mixture
        raise ZeroDivisionError


def test_products_are_exact_until_others_are_asked_for_and_again_afterwards():
    multiply_exactly()
    assert allowed() == [False, False]
    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert allowed() == [False, False]
    assert torch.get_float32_matmul_precision() == "highest"
