import pytest
import torch
from torch import nn

from bitswitch.contracts.data import Batch
from bitswitch.errors import SpecError
from bitswitch.sensitivities.hessian.hessian import sample_traces
from tests.nn.small_network import float_net

LABELS = torch.tensor([0, 1, 2, 3, 4, 0])


def sampled(model, images, seed=0, names=("0", "3", "6", "9", "11"), **options):
    layers = {name: model.get_submodule(name) for name in names}
    batches = [Batch(images[:4], LABELS[:4], LABELS[:4]), Batch(images[4:], LABELS[4:], LABELS[4:])]
    return sample_traces(model, layers, lambda: batches, seed, **options)


def test_units_are_images_or_parts_of_batches(images):
    model = float_net().eval()
    assert sampled(model, images).images.tolist() == [1] * 6
    found = sampled(model, images, estimator="hutchinson", batch_size=3, max_probes=2)
    assert found.images.tolist() == [3, 1, 2]


@pytest.mark.parametrize(("estimator", "layer"), [("gauss-newton", "0"), ("hutchinson", "11")])
def test_probes_are_added_until_the_error_is_small_enough(estimator, layer, images):
    options = {"estimator": estimator, "relative_error": 0.1, "names": [layer]}
    few, enough = (
        sampled(float_net().eval(), images, max_probes=most, **options) for most in (2, 2000)
    )
    assert few.relative(few.standard_errors) > 0.1
    assert few.probes == 2
    assert 2 < enough.probes < 2000
    assert enough.relative(enough.standard_errors) <= 0.1
    assert torch.equal(enough.values[:, :2], few.values)


def test_gauss_newton_is_exact_when_all_signs_were_drawn(images):
    one, other = (sampled(float_net().eval(), images, s, relative_error=1e-9) for s in (0, 1))
    assert one.probes == 8  # for five classes
    assert one.relative(one.standard_errors) == 0
    torch.testing.assert_close(one.means, other.means, rtol=1e-5, atol=0)


@pytest.mark.parametrize("estimator", ["gauss-newton", "hutchinson"])
def test_traces_that_are_not_finite_are_an_error(estimator, images):
    model = float_net().eval()
    with torch.no_grad():
        model[0].weight.fill_(float("nan"))
    with pytest.raises(SpecError, match="not finite"):
        sampled(model, images, estimator=estimator)


def test_everything_is_as_before_even_after_an_error(images):
    model = float_net()
    model[5] = nn.SiLU()
    with pytest.raises(SpecError):
        sampled(model, images)
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
