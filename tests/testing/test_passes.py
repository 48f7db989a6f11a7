import pytest
import torch

from bitswitch.contracts.method import Pass
from bitswitch.testing import CheckFailed
from bitswitch.testing.passes import (
    every_bit_width_is_visited,
    passes_are_of_the_bit_set,
    passes_depend_on_the_step_alone,
    separate_updates_follow_every_pass,
    teachers_are_earlier_passes,
    trained_widths,
)
from tests.testing.plain import Plain


def with_passes(passes):
    return type("Changed", (Plain,), {"passes": staticmethod(passes)})


def constant(*passes):
    return lambda training, step_info, layers: list(passes)


def drawn(generator_of):
    def passes(training, step_info, layers):
        index = int(torch.randint(3, (), generator=generator_of(step_info)))
        update = training.update == "separate"
        return [Pass((8, 4, 2)[index], update=update)]

    return passes


WRONG = {
    "itself": (teachers_are_earlier_passes, constant(Pass(8, teacher=0)), "has the teacher 0"),
    "later": (teachers_are_earlier_passes, constant(Pass(8, teacher=1), Pass(4)), "teacher 1"),
    "negative": (teachers_are_earlier_passes, constant(Pass(8), Pass(4, teacher=-1)), "teacher -1"),
    "share": (teachers_are_earlier_passes, constant(Pass(8, distill_weight=2.0)), "a share of 2.0"),
    "none": (passes_are_of_the_bit_set, constant(), "no pass"),
    "unknown width": (passes_are_of_the_bit_set, constant(Pass(5)), r"uses \[5\] bit"),
    "nothing": (passes_are_of_the_bit_set, constant(Pass(None)), "neither bits nor policy"),
    "policy": (passes_are_of_the_bit_set, constant(Pass(None, {"conv": 8})), "names \\['conv'\\]"),
    "width left out": (every_bit_width_is_visited, constant(Pass(8), Pass(2)), r"\[4\] bit"),
    "global draws": (
        passes_depend_on_the_step_alone,
        drawn(lambda step_info: torch.default_generator),
        "give different passes",
    ),
    "one update": (separate_updates_follow_every_pass, constant(Pass(8)), "update=False"),
}


@pytest.mark.parametrize(("check", "passes", "message"), WRONG.values(), ids=WRONG)
def test_wrong_passes_are_told(subject_of, check, passes, message):
    with pytest.raises(CheckFailed, match=message):
        check(subject_of(with_passes(passes)))


def test_drawn_passes_are_fine(subject_of):
    subject = subject_of(with_passes(drawn(lambda step_info: step_info.generator)))
    passes_depend_on_the_step_alone(subject)
    every_bit_width_is_visited(subject)
    passes_are_of_the_bit_set(subject)


def mixed(training, step_info, layers):
    policy = {name: (8, 4) if index else (2, 2) for index, name in enumerate(layers)}
    return [Pass(None, policy, update=training.update == "separate")]


def test_the_bit_widths_of_policies_count(subject_of):
    subject = subject_of(with_passes(mixed))
    every_bit_width_is_visited(subject)
    separate_updates_follow_every_pass(subject)


class Summed(Plain):
    def passes(self, training, step_info, layers):
        return [Pass(bits) for bits in self.bitset]

    def skip(self, spec):
        separate = spec.training.update == "separate"
        return "it sums the losses of a step" if separate else None


def test_recipes_that_are_refused_are_not_looked_at(subject_of):
    separate_updates_follow_every_pass(subject_of(Summed))


class FloatTraining(Plain):
    def passes(self, training, step_info, layers):
        return [Pass(32, update=training.update == "separate")]


class QuantizesAtTheEnd(FloatTraining):
    def finish(self, model, batches):
        model.calibrate(batch.inputs for batch in batches())


def test_full_precision_may_be_quantized_at_the_end(subject_of):
    with pytest.raises(CheckFailed, match=r"\[8, 4, 2\] bit"):
        every_bit_width_is_visited(subject_of(FloatTraining))
    subject = subject_of(QuantizesAtTheEnd)
    every_bit_width_is_visited(subject)
    assert trained_widths(subject) == [32]
    assert trained_widths(subject_of(Plain)) == [8, 4, 2]
