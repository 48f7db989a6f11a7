import logging

import pytest
import torch
from torch import nn

from bitswitch.errors import SpecError
from bitswitch.sensitivities.hessian_trace import HessianTrace

from .subjects import LAYERS, state_of, subject_of


def findings(subject, **options):
    return HessianTrace(HessianTrace.Options(**options)).score(subject)


def test_a_score_is_the_mean_trace_of_a_layer():
    subject = subject_of()
    mean, total = (findings(subject_of(), normalized=flag).scores for flag in (True, False))
    assert [row[:3] for row in mean] == [(name, "layer", None) for name in LAYERS]
    for row, other in zip(mean, total, strict=True):
        count = subject.model.layers[row.layer].weight.numel()
        assert row.value * count == pytest.approx(other.value)
        assert row.standard_error * count == pytest.approx(other.standard_error)


def test_estimators_agree_within_their_error_bars():
    gauss_newton = findings(subject_of()).scores
    hutchinson = findings(subject_of(), estimator="hutchinson", max_probes=60).scores
    for one, other in zip(gauss_newton, hutchinson, strict=True):
        limit = 4 * (one.standard_error**2 + other.standard_error**2) ** 0.5
        assert abs(one.value - other.value) <= limit


@pytest.mark.parametrize("estimator", ["gauss-newton", "hutchinson"])
def test_the_network_is_left_as_it_was(estimator):
    subject = subject_of()
    before = state_of(subject.model)
    needed = [parameter.requires_grad for parameter in subject.model.parameters()]
    findings(subject, estimator=estimator, max_probes=3)
    after = state_of(subject.model)
    assert all(torch.equal(before[0][name], after[0][name]) for name in before[0])
    assert before[1:] == after[1:]
    assert [parameter.requires_grad for parameter in subject.model.parameters()] == needed
    assert all(parameter.grad is None for parameter in subject.model.parameters())


def test_results_depend_on_the_generator_alone():
    first, second = (findings(subject_of(), max_probes=2).scores for _ in range(2))
    subject = subject_of()
    subject.generator.manual_seed(1)
    other = findings(subject, max_probes=2).scores
    assert first == second
    assert first != other


def test_facts_say_how_precise_it_is():
    subject = subject_of()
    images = sum(len(batch.targets) for batch in subject.batches())
    rows, facts = findings(subject, relative_error=0.03)
    assert facts["images"] == images
    assert facts["probes"] >= 2
    largest = max(row.standard_error / row.value for row in rows)
    assert facts["largest_relative_error"] == pytest.approx(largest)
    assert largest <= 0.03
    assert facts["largest_relative_sampling_error"] > largest


def test_an_error_that_is_not_reached_is_logged(caplog):
    with caplog.at_level(logging.WARNING):
        findings(subject_of(), estimator="hutchinson", relative_error=1e-6, max_probes=2)
    assert "raise max_probes" in caplog.text


def test_gauss_newton_refuses_curved_networks():
    subject = subject_of()
    subject.model.net[5] = nn.SiLU()
    with pytest.raises(SpecError, match=r"'net\.5' \(SiLU\) computes 'Silu'"):
        findings(subject)
    findings(subject, estimator="hutchinson", max_probes=2)
