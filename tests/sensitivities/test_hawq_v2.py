from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from bitswitch.contracts.data import Batch
from bitswitch.contracts.sensitivity import Scores
from bitswitch.sensitivities.hawq_v2 import HawqV2
from bitswitch.sensitivities.hessian import traces
from bitswitch.sensitivities.hessian.trace_samples import TraceSamples
from bitswitch.sensitivities.input_error import squared_input_errors
from bitswitch.sensitivities.quantization_error import QuantizationError
from bitswitch.sensitivities.weight_error import squared_weight_errors
from bitswitch.testing.subject import batch
from bitswitch.types import FLOAT_BITS

from .subjects import BITSET, LAYERS, state_of, subject_of


def findings(subject, **options):
    return HawqV2(HawqV2.Options(**options)).score(subject)


@pytest.fixture
def fix_traces(monkeypatch):
    """Return a function that makes every estimation find these traces."""

    def fix(*values):
        found = TraceSamples(torch.tensor([[values, values]]).double(), torch.ones(1).double())
        monkeypatch.setattr(traces, "sample_traces", lambda *_, **__: found)

    return fix


def exact_traces(subject):
    """Return the traces of the layers from all rows of their Hessians, float64."""
    model = subject.model.double()
    loss = cross_entropy(model(batch().inputs.double()), batch().targets)
    found = {}
    for name, layer in model.layers.items():
        (gradient,) = torch.autograd.grad(loss, layer.weight, create_graph=True)
        unit = torch.eye(gradient.numel()).double().reshape(-1, *gradient.shape)
        (rows,) = torch.autograd.grad(
            gradient, layer.weight, unit, retain_graph=True, is_grads_batched=True
        )
        found[name] = float((rows * unit).sum())
    return found


def test_scores_are_mean_traces_times_squared_errors():
    subject = replace(subject_of(), batches=lambda: iter([batch()]))
    found = findings(subject, relative_error=0.05, max_probes=64)
    errors = squared_weight_errors(subject.model, BITSET)
    expected = exact_traces(subject_of())
    assert [(row.layer, row.bits) for row in found.scores] == list(errors)
    assert {row.operand for row in found.scores} == {"layer"}
    for row in found.scores:
        count = subject.model.layers[row.layer].weight.numel()
        omega = expected[row.layer] / count * float(errors[row.layer, row.bits])
        assert row.value == pytest.approx(omega, rel=0.15)
        assert 0 <= row.standard_error <= 0.0501 * row.value
    assert found.facts["images"] == 16
    assert found.facts["largest_relative_error"] <= 0.05
    assert found.facts["negative"] == 0


def test_the_trace_goes_with_the_mean_error_the_mean_trace_with_the_sum(fix_traces):
    fix_traces(3.0, 5.0, 7.0)
    subject = subject_of()
    found = findings(subject).scores
    means = QuantizationError(QuantizationError.Options(average="mean")).score(subject).scores
    traces_of = dict(zip(LAYERS, (3.0, 5.0, 7.0), strict=True))
    for omega, error in zip(found, means, strict=True):
        assert omega[:3] == error[:3]
        assert omega.value == pytest.approx(traces_of[omega.layer] * error.value)


@pytest.mark.parametrize(("negative", "sign"), [("clip", 0), ("keep", -1)])
def test_negative_traces_count_nothing_unless_they_are_kept(fix_traces, negative, sign):
    fix_traces(3.0, -2.0, 0.0)
    subject = subject_of()
    found = findings(subject, negative=negative)
    values = Scores(tuple(found.scores))
    errors = squared_weight_errors(subject.model, BITSET)
    for bits in BITSET:
        per_weight = [
            float(errors[name, bits]) / subject.model.layers[name].weight.numel() for name in LAYERS
        ]
        scores = [values.of_policy(name, bits, bits) for name in LAYERS]
        assert scores == pytest.approx([3 * per_weight[0], 2 * sign * per_weight[1], 0.0])
    assert found.facts["negative"] == 1


def test_networks_that_bend_need_the_other_estimator():
    subject = subject_of()
    subject.model.net[5] = nn.SiLU()
    found = findings(subject, estimator="hutchinson", max_probes=4, relative_error=1.0)
    assert len(found.scores) == len(LAYERS) * len(BITSET)


def two():
    """Return two images."""
    return Batch(*(part[:2] for part in batch()))


def exact_input_traces(subject):
    """Return the mean over images of the trace for what each layer reads, by all its rows."""
    model, found = subject.model.double(), dict.fromkeys(LAYERS, 0.0)
    images, targets, _ = two()
    for name in LAYERS:
        for image, target in zip(images.double(), targets, strict=True):
            read = []

            def take(layer, given, read=read):
                read.append(given[0].detach().requires_grad_())
                return (read[0],)

            hook = model.layers[name].register_forward_pre_hook(take)
            loss = cross_entropy(model(image[None]), target[None])
            hook.remove()
            (gradient,) = torch.autograd.grad(loss, read, create_graph=True)
            unit = torch.eye(gradient.numel()).double().reshape(-1, *gradient.shape)
            (rows,) = torch.autograd.grad(gradient, read, unit, is_grads_batched=True)
            found[name] += float((rows * unit).sum()) / len(images)
    return found


def test_scores_of_inputs_are_mean_traces_times_squared_errors():
    subject = replace(subject_of(), batches=lambda: iter([two()]))
    found = findings(subject, operands="inputs", relative_error=0.05)
    read = squared_input_errors(subject.model, BITSET, subject.batches)
    expected = exact_input_traces(subject_of())
    assert [(row.layer, row.bits) for row in found.scores] == list(read.squared)
    for row in found.scores:
        omega = expected[row.layer] / read.elements[row.layer] * read.squared[row.layer, row.bits]
        assert row.operand == "layer"
        assert row.value == pytest.approx(omega, rel=0.15)
    assert found.facts["largest_relative_error"] <= 0.05


def test_operands_are_told_apart_where_both_are_scored():
    alone = {
        operand: findings(subject_of(), operands=name, max_probes=2).scores
        for operand, name in (("weight", "weights"), ("activation", "inputs"))
    }
    found = findings(subject_of(), operands="both", max_probes=2)
    rows = {operand: [r for r in found.scores if r.operand == operand] for operand in alone}
    assert [row.value for row in rows["weight"]] == [row.value for row in alone["weight"]]
    # Other probes: the seed of the second estimation is drawn after that of the first.
    values = [row.value for row in alone["activation"]]
    assert [row.value for row in rows["activation"]] == pytest.approx(values, rel=0.5)
    assert {"probes", "input_probes"} <= found.facts.keys()
    first = rows["weight"][0], rows["activation"][1]
    scores = Scores(tuple(found.scores))
    assert scores.of_policy(LAYERS[0], 8, 4) == first[0].value + first[1].value


@pytest.mark.parametrize(
    ("operands", "most"), [("inputs", True), ("both", True), ("weights", False)]
)
def test_a_layer_that_suffers_from_its_input_ranks_first(operands, most):
    subject = subject_of()
    coarse = subject.model.layers["3"].activation_quantizer
    with torch.no_grad():
        for scale in coarse.scales().values():
            scale.mul_(40)
    subject.model.switch(FLOAT_BITS)
    scores = Scores(tuple(findings(subject, operands=operands, max_probes=8).scores))
    losses = {}
    for name in (None, *LAYERS):
        policy = {layer: 4 if layer == name else FLOAT_BITS for layer in LAYERS}
        with torch.no_grad(), subject.model.at(policy) as model:
            losses[name] = float(cross_entropy(model(batch().inputs), batch().targets))
    rises = {name: abs(losses[name] - losses[None]) for name in LAYERS}
    assert max(rises, key=rises.get) == "3"
    ranked = max(LAYERS, key=lambda name: scores.of_policy(name, 4, 4))
    assert (ranked == "3") == most


def test_traces_for_inputs_need_no_piecewise_linear_network():
    subject = subject_of()
    subject.model.net[5] = nn.SiLU()
    found = findings(subject, operands="inputs", max_probes=2)
    assert all(row.value > 0 for row in found.scores)


@pytest.mark.parametrize("estimator", ["gauss-newton", "hutchinson"])
def test_work_counts_every_operand(estimator):
    work = {
        name: HawqV2(HawqV2.Options(operands=name, estimator=estimator)).work(64, 4).trained
        for name in ("weights", "inputs", "both")
    }
    assert work["both"] == work["weights"] + work["inputs"]
    assert work["inputs"] <= 64 + HawqV2(HawqV2.Options()).work(64, 4).trained


def test_the_generator_decides_the_probes():
    first, again = (findings(subject_of(), max_probes=4).scores for _ in range(2))
    other = subject_of()
    torch.rand((), generator=other.generator)
    assert first == again != findings(other, max_probes=4).scores


@pytest.mark.parametrize("operands", ["weights", "inputs"])
def test_the_network_stays_as_it_is(operands):
    subject = subject_of()
    state, modes, policy = state_of(subject.model)
    findings(subject, operands=operands, max_probes=2)
    after = state_of(subject.model)
    assert all(torch.equal(value, after[0][name]) for name, value in state.items())
    assert (modes, policy) == after[1:]
    assert all(p.grad is None and p.requires_grad for p in subject.model.parameters())
