import numpy as np
import pytest
import torch
from torch import nn

from bitswitch.training.updates.scale_gradients import ScaleGradients, scale_gradients

CPU = torch.device("cpu")
KEYS = [("conv1", "weight"), ("conv1", "activation"), ("conv2", "weight")]


def scales(*shapes):
    return {key: nn.Parameter(torch.ones(shape)) for key, shape in zip(KEYS, shapes, strict=False)}


def run_steps(gradients, steps, seed=0):
    """Give random gradients for some steps; return them, [steps][scales] arrays."""
    draw, seen = np.random.default_rng(seed), []
    for _ in range(steps):
        row = []
        for scale in gradients.scales.values():
            value = draw.normal(size=tuple(scale.shape)).astype(np.float32)
            scale.grad = torch.tensor(value)
            row.append(value)
        gradients.add(gradients.vector())
        seen.append(row)
    return seen


@pytest.mark.parametrize("shape", [(), (5, 1, 1, 1)])
def test_summary_is_that_of_all_steps_and_channels(shape):
    gradients = ScaleGradients(scales(shape, (), shape), CPU)
    seen = run_steps(gradients, steps=7)
    summary = gradients.summary()
    for position, (layer, operand) in enumerate(gradients.scales):
        values = np.concatenate([np.ravel(row[position]) for row in seen]).astype(np.float64)
        expected = {
            "mean_abs": np.abs(values).mean(),
            "std": values.std(),
            "max_abs": np.abs(values).max(),
        }
        assert summary[operand][layer] == pytest.approx(expected)


def test_largest_is_per_scale():
    gradients = ScaleGradients(scales((3,), ()), CPU)
    first, second = gradients.scales.values()
    first.grad, second.grad = torch.tensor([0.5, -2.0, 1.0]), torch.tensor(-0.25)
    assert gradients.largest(gradients.vector()).tolist() == [2.0, 0.25]


def test_a_scale_without_gradient_counts_as_zero():
    gradients = ScaleGradients(scales((), ()), CPU)
    assert gradients.vector().tolist() == [0.0, 0.0]


def test_clear_begins_anew():
    gradients = ScaleGradients(scales((), ()), CPU)
    run_steps(gradients, steps=3)
    gradients.clear()
    seen = run_steps(gradients, steps=1, seed=1)
    assert gradients.summary()["weight"]["conv1"]["max_abs"] == pytest.approx(abs(seen[0][0]))


def test_state_survives_a_round_trip():
    first, second = (ScaleGradients(scales((3,), ()), CPU) for _ in range(2))
    run_steps(first, steps=2)
    second.load_state_dict(first.state_dict())
    assert second.summary() == first.summary()


def test_no_scales_give_empty_summaries():
    gradients = ScaleGradients({}, CPU)
    gradients.add(gradients.vector())
    assert gradients.summary() == {"weight": {}, "activation": {}}


def test_a_model_has_statistics_for_every_width_and_layer(make_learner, tiny_run):
    model = make_learner(tiny_run()).model
    found = scale_gradients(model)
    assert list(found) == [8, 4, 2]
    for gradients in found.values():
        assert {layer for layer, _ in gradients.scales} == set(model.layers)
