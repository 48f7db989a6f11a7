import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.contracts.sensitivity import Scores
from bitswitch.errors import SpecError
from bitswitch.sensitivities.step_size import FORBIDDEN, StepSize, without_outliers
from bitswitch.testing.subject import Subject, train

from .subjects import BITSET, LAYERS, state_of, subject_of


def findings(subject, **options):
    return StepSize(StepSize.Options(**options)).score(subject)


def test_scores_are_the_learned_steps_of_both_operands():
    subject = subject_of()
    rows = findings(subject).scores
    assert len(rows) == 2 * len(LAYERS) * len(BITSET)
    parameters = dict(subject.model.named_parameters())
    for row in rows:
        step = parameters[f"net.{row.layer}.{row.operand}_quantizer.scale.{row.bits}"]
        assert row.value == float(step.detach())
        assert row.standard_error == 0.0


def test_what_training_changes_is_what_is_scored():
    train_state = Subject.of("limpq", {}, BITSET).train_state()
    subject = subject_of()
    before = {row[:3]: row.value for row in findings(subject).scores}
    train(train_state, 3)
    subject.model.load_state_dict(train_state.model.state_dict())
    after = {row[:3]: row.value for row in findings(subject).scores}
    assert before.keys() == after.keys()
    assert all(before[key] != after[key] for key in before)


def test_searches_add_both_operands_at_a_factor():
    rows = findings(subject_of()).scores
    by_key = {row[:3]: row.value for row in rows}
    scores = Scores(tuple(rows))
    assert scores.by_bits
    expected = by_key["3", "activation", 2] + 2 * by_key["3", "weight", 4]
    assert scores.of_policy("3", 4, 2, factor=2.0) == pytest.approx(expected)


def test_a_shared_scale_doubles_with_every_bit_less():
    subject = subject_of("double-rounding")
    scale = {n: float(m.weight_quantizer.scale.detach()) for n, m in subject.model.layers.items()}
    rows = [row for row in findings(subject).scores if row.operand == "weight"]
    assert len(rows) == 9
    for row in rows:
        assert row.value == pytest.approx(scale[row.layer] * 2 ** (8 - row.bits))


def test_steps_of_channels_count_by_their_mean():
    subject = subject_of("multiquant", weight_granularity="per-channel")
    steps = subject.model.layers["3"].weight_quantizer.scale.of(4)
    assert steps.numel() == 8
    with torch.no_grad():
        steps.copy_(torch.arange(1.0, 9.0).reshape(steps.shape))
    by_key = {row[:3]: row.value for row in findings(subject).scores}
    assert by_key["3", "weight", 4] == pytest.approx(4.5)


def test_a_method_without_learned_steps_is_refused():
    with pytest.raises(SpecError, match="Layer '3' has no learned scale for its weights") as error:
        findings(subject_of("dorefa"))
    assert "limpq" in str(error.value)


@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=7))
def test_the_outlier_rule_is_that_of_the_publication(steps):
    bits_list = list(range(8, 8 - len(steps), -1))
    values = {str(bits): step for bits, step in zip(bits_list, steps, strict=True)}
    outliers = [b - 1 for b in bits_list[:-1] if values[str(b - 1)] < values[str(b)]]
    for bits in outliers:
        values[str(bits)] = 1e8
    assert without_outliers(steps) == list(values.values())


def test_outliers_are_forbidden_on_request():
    subject = subject_of()
    with torch.no_grad():
        for bits, step in zip(BITSET, (0.1, 0.05, 0.2), strict=True):
            subject.model.layers["6"].weight_quantizer.scale.of(bits).fill_(step)
    assert FORBIDDEN not in [row.value for row in findings(subject).scores]
    found = findings(subject, outliers="forbid")
    at_six = [row.value for row in found.scores if row[:2] == ("6", "weight")]
    assert at_six == pytest.approx([0.1, FORBIDDEN, 0.2])
    assert found.facts["forbidden"] == sum(row.value == FORBIDDEN for row in found.scores) == 1


def test_the_network_stays_as_it_is():
    subject = subject_of()
    state, modes, policy = state_of(subject.model)
    findings(subject)
    after = state_of(subject.model)
    assert all(torch.equal(value, after[0][name]) for name, value in state.items())
    assert (modes, policy) == after[1:]
