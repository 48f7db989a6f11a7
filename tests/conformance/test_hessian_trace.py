"""Traces and samples of them against exact values of a small network."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from bitswitch.contracts.data import Batch
from bitswitch.sensitivities.hessian.gauss_newton import output_gradients
from bitswitch.sensitivities.hessian.hessian import sample_traces
from bitswitch.sensitivities.hessian.hutchinson import quadratic_forms
from bitswitch.sensitivities.hessian.trace_samples import TraceSamples

with np.load(Path(__file__).parent / "hessian_trace.npz") as arrays:
    HESSIAN = {k: torch.from_numpy(arrays[k]) for k in arrays if arrays[k].dtype.kind in "fi"}
    PARAMETERS, WEIGHTS = (
        [str(name) for name in arrays[k]] for k in ("param_names", "layer_names")
    )
PLACES = [PARAMETERS.index(name) for name in WEIGHTS]
LAYERS = [name.removesuffix(".weight") for name in WEIGHTS]
IMAGES, LABELS = HESSIAN["x"], HESSIAN["y"]
UNEVEN = (12, 12, 8)
EVERYTHING = {"relative_error": 1e-9, "max_probes": 16}  # 16 sign vectors complement each other


def of_weights(prefix):
    return torch.stack([HESSIAN[f"{prefix}/{name}"] for name in WEIGHTS])


EXACT = of_weights("trace_f64/eval")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, 1, 1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6)
        self.conv3, self.bn3 = nn.Conv2d(6, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6)
        self.fc = nn.Linear(6, 10)

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu()
        x = self.bn2(self.conv2(x)).relu()
        x = self.bn3(self.conv3(x)).relu()
        return self.fc(x.mean((2, 3)))


def trained(dtype=torch.float64):
    model = Net()
    model.load_state_dict({k[3:]: v for k, v in HESSIAN.items() if k.startswith("sd/")})
    return model.to(dtype).eval()


def batches(dtype, sizes):
    parts = zip(torch.split(IMAGES.to(dtype), sizes), torch.split(LABELS, sizes), strict=True)
    return [Batch(images, labels, labels) for images, labels in parts]


def sampled(model, sizes=(32,), seed=0, batch_size=32, **options):
    layers = {name: model.get_submodule(name) for name in LAYERS}
    dtype = model.fc.weight.dtype
    return sample_traces(
        model, layers, lambda: batches(dtype, sizes), seed, batch_size=batch_size, **options
    )


def forms(model, names, probes, images=IMAGES, labels=LABELS):
    weights = [model.get_parameter(name) for name in names]
    loss = cross_entropy(model(images.to(weights[0].dtype)), labels)
    return quadratic_forms(loss, weights, ([v.to(weights[0].dtype) for v in p] for p in probes))


def fixed_probes(names):
    return list(zip(*(HESSIAN[f"probe/{name}"] for name in names), strict=True))


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
def test_quadratic_forms_of_all_parameters(dtype, limit):
    found = forms(trained(dtype), PARAMETERS, fixed_probes(PARAMETERS))
    expected = HESSIAN["vhv_joint_all_f64"]
    assert (found - expected).abs().max() <= limit * expected.abs().max()


def test_quadratic_forms_of_the_weights_alone():
    found = forms(trained(), WEIGHTS, fixed_probes(WEIGHTS))
    expected = HESSIAN["vhv_joint_weights_f64"]
    assert (found - expected).abs().max() <= 1e-12 * expected.abs().max()


def test_quadratic_forms_of_unit_vectors_are_the_diagonal():
    eye = torch.eye(60, dtype=torch.float64).view(60, 1, 10, 6)
    found = forms(trained(), ["fc.weight"], eye)
    expected = HESSIAN["diag_f64/eval/fc.weight"].flatten()
    torch.testing.assert_close(found[:, 0], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_all_sign_vectors_together_give_the_exact_traces(dtype, limit):
    samples = sampled(trained(dtype), **EVERYTHING)
    assert samples.probes == 16
    assert ((samples.means - EXACT) / EXACT).abs().max() <= limit
    assert samples.standard_errors.max() == 0


def test_hutchinson_has_the_mean_and_variance_of_joint_probes():
    samples = sampled(trained(), estimator="hutchinson", relative_error=1e-9, max_probes=400)
    variances = of_weights("var_joint_weights/eval")
    assert ((samples.means - EXACT).abs() <= 5 * (variances / 400).sqrt()).all()
    ratios = samples.values.var(1)[0] / variances
    assert ((ratios < 1.5) & (ratios > 1 / 1.5)).all()


def test_gauss_newton_stays_within_its_error_bars():
    for seed in range(10):
        samples = sampled(trained(), seed=seed, relative_error=1e-9, max_probes=4)
        assert ((samples.means - EXACT).abs() <= 5 * samples.standard_errors).all()
        assert (samples.values >= 0).all()


@pytest.mark.parametrize("batch_size", [5, 32])
def test_batches_count_by_their_size(batch_size):
    samples = sampled(trained(), UNEVEN, batch_size=batch_size, **EVERYTHING)
    torch.testing.assert_close(samples.means, EXACT, rtol=1e-12, atol=0)


def test_probes_of_batches_count_by_their_size():
    probes, model = fixed_probes(WEIGHTS), trained()
    parts = [
        forms(model, WEIGHTS, probes, batch.inputs, batch.targets)
        for batch in batches(torch.float64, UNEVEN)
    ]
    samples = TraceSamples(torch.stack(parts), torch.tensor(UNEVEN).double())
    expected = HESSIAN["vhv_joint_weights_f64"].mean(0)
    torch.testing.assert_close(samples.means, expected, rtol=1e-12, atol=0)
    unweighted = of_weights("trace_unweighted_batches_f64")
    assert (unweighted - EXACT).abs().max() > 1  # what a mean that ignores sizes would be off by


@pytest.mark.parametrize("estimator", ["gauss-newton", "hutchinson"])
def test_batch_norm_is_frozen_and_everything_left_as_found(estimator):
    model = trained()
    model.train()
    model.bn2.eval()
    model.fc.bias.requires_grad_(False)
    model.conv1.weight.grad = torch.ones_like(model.conv1.weight)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    samples = sampled(model, estimator=estimator, relative_error=0.5, max_probes=31)
    assert ((samples.means - EXACT).abs() <= 5 * samples.standard_errors).all()
    assert samples.means[1] > 35  # 26 with the statistics of the batch
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert [m.training for m in (model, model.bn1, model.bn2)] == [True, True, False]
    assert not model.fc.bias.requires_grad
    assert model.conv1.weight.requires_grad
    assert torch.equal(model.conv1.weight.grad, torch.ones_like(model.conv1.weight))
    assert model.fc.weight.grad is None
    assert not any(module._forward_hooks for module in model.modules())


def test_output_gradients_of_fixed_signs():
    model = trained()
    logits = model(IMAGES.double())
    weights = [model.get_parameter(name) for name in PARAMETERS]
    for signs, expected in zip(HESSIAN["ggn_probe_u"], HESSIAN["ggn_probe_t_f64"], strict=True):
        start = output_gradients(logits.detach(), signs) / len(IMAGES) ** 0.5
        gradients = torch.autograd.grad(logits, weights, start, retain_graph=True)
        found = torch.stack([gradient.square().sum() for gradient in gradients])
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("estimator", "wanted", "seeds"), [("gauss-newton", 0.08, 20), ("hutchinson", 0.25, 12)]
)
def test_the_error_stopped_at_is_the_error_made(estimator, wanted, seeds):
    """PyHessian's own rule, a mean that moves little, stops with twice as much as it looks like."""
    runs = [
        sampled(trained(), seed=seed, estimator=estimator, relative_error=wanted, max_probes=200)
        for seed in range(seeds)
    ]
    stated = torch.stack([samples.standard_errors / samples.means.abs() for samples in runs])
    made = torch.stack([(samples.means - EXACT) / EXACT for samples in runs])
    assert stated.max() <= wanted
    assert stated.max() > 0
    assert (made.square().mean(0).sqrt() <= 1.5 * wanted).all()
    z = (made / stated)[stated > 0]
    assert 0.6 < z.square().mean().sqrt() < 1.5
