import pytest
import torch
from pydantic import ValidationError

from bitswitch.sensitivities.hessian.hessian import sample_traces
from bitswitch.sensitivities.hessian.trace_samples import TraceSamples
from bitswitch.sensitivities.hessian.traces import TraceOptions, facts_of, traced, work_of
from tests.sensitivities.subjects import LAYERS, subject_of

FEW = TraceOptions(max_probes=2, relative_error=1e-6)


def test_traces_are_those_of_the_layers_in_their_order():
    subject = subject_of()
    samples = traced(subject, FEW, "test")
    draw = subject_of().generator
    seed = int(torch.randint(2**62, (), generator=draw))
    expected = sample_traces(
        subject.model,
        {name: subject.model.layers[name] for name in LAYERS},
        subject.batches,
        seed,
        relative_error=1e-6,
        max_probes=2,
    )
    assert torch.equal(samples.values, expected.values)


def test_options_reach_the_estimation():
    subject = subject_of()
    found = traced(subject, TraceOptions(estimator="hutchinson", max_probes=3), "test")
    assert found.probes <= 3
    assert len(found.values) == 4  # a batch has one sample a probe, not every image


def test_facts_say_how_precise_the_traces_are():
    samples = traced(subject_of(), FEW, "test")
    facts = facts_of(samples)
    assert facts["probes"] == samples.probes
    assert facts["images"] == 64
    errors = (samples.standard_errors / samples.means).tolist()
    assert facts["largest_relative_error"] == pytest.approx(max(errors))
    assert facts["largest_relative_sampling_error"] > facts["largest_relative_error"]


def test_errors_that_one_unit_cannot_tell_are_left_out():
    samples = TraceSamples(torch.rand(1, 3, 2, dtype=torch.float64), torch.tensor([16.0]).double())
    assert set(facts_of(samples)) == {"probes", "images", "largest_relative_error"}


@pytest.mark.parametrize("relative_error", [1e-3, 0.02, 0.1, 1.0])
def test_work_is_about_a_pass_per_probe_and_image(relative_error):
    options = TraceOptions(relative_error=relative_error)
    probes = traced(subject_of(), options, "test").probes
    assert 64 * probes / 2 <= work_of(options, examples=64, outputs=4).trained <= 64 * probes * 2


def test_work_is_bounded_by_the_probes_allowed():
    options = TraceOptions(relative_error=1e-6, max_probes=7)
    assert work_of(options, examples=10, outputs=1000).trained == 70
    of_hessian = TraceOptions(estimator="hutchinson", max_probes=7)
    assert work_of(of_hessian, examples=10, outputs=1000).trained == 210


def test_an_error_that_is_too_large_is_logged(caplog):
    traced(subject_of(), TraceOptions(relative_error=100.0), "somebody")
    assert not caplog.text
    traced(subject_of(), FEW, "somebody")
    assert "somebody: 2 probes leave an error of" in caplog.text


@pytest.mark.parametrize("wrong", [{"max_probes": 1}, {"relative_error": 0}, {"batch_size": 0}])
def test_options_are_checked(wrong):
    with pytest.raises(ValidationError):
        TraceOptions(**wrong)
