"""Checks on the passes of a training step."""

from dataclasses import replace
from functools import lru_cache
from itertools import chain, product
from typing import NamedTuple

from bitswitch.contracts.method import Method, Pass
from bitswitch.plugins import facts
from bitswitch.spec.training import TrainingSpec
from bitswitch.testing.failure import require
from bitswitch.testing.subject import Subject, quantized, run_spec, step_info
from bitswitch.types import FLOAT_BITS

STEPS = 40
"""A run of so many steps has to visit every bit-width, even if they are drawn."""


class Run(NamedTuple):
    """The passes of every step of a run."""

    training: TrainingSpec
    steps: list[list[Pass]]


def teachers_are_earlier_passes(subject: Subject) -> None:
    """A teacher is an earlier pass of the same step."""
    for passes in _steps(subject):
        for position, part in enumerate(passes):
            require(
                part.teacher is None or 0 <= part.teacher < position,
                f"Pass {position} ({part}) has the teacher {part.teacher}, which is no earlier "
                f"pass of the step.",
                "A teacher is the position of a pass that comes before: 0 is the first.",
            )
            require(
                0 <= part.distill_weight <= 1,
                f"Pass {position} ({part}) gives its teacher a share of {part.distill_weight}.",
                "Shares lie between 0 and 1.",
            )


def passes_are_of_the_bit_set(subject: Subject) -> None:
    """Passes use bit-widths that the network has, and policies name its layers."""
    known = {*subject.bitset, FLOAT_BITS}
    _, layers = _attached(subject)
    for passes in _steps(subject):
        require(bool(passes), "A step has no pass.", "Return at least one Pass from passes().")
        for part in passes:
            strange = sorted({*part.widths()} - known)
            require(
                not strange and (part.bits is None or part.bits in known),
                f"A pass uses {strange or part.bits} bit; the network has {sorted(known)}.",
                "Take bit-widths from self.bitset.",
            )
            require(
                part.bits is not None or part.policy is not None,
                "A pass has neither bits nor policy.",
                "Say Pass(bits), or Pass(None, policy={layer: bits, ...}).",
            )
            require(
                part.policy is None or set(part.policy) == set(layers),
                f"The policy of a pass names {sorted(part.policy or ())}; the network has the "
                f"layers {layers}.",
                "A policy has one entry for each of the layers that passes() gets.",
            )


def every_bit_width_is_visited(subject: Subject) -> None:
    """Every bit-width is trained within 40 steps, or made from a float network at the end."""
    method = subject.method()
    for run in _runs(subject) if method.trains else []:
        seen = _widths(run)
        if seen == {FLOAT_BITS} and type(method).finish is not Method.finish:
            continue
        missing = [bits for bits in subject.bitset if bits not in seen]
        require(
            not missing,
            f"No pass in {STEPS} steps uses {missing} bit.",
            "Visit every bit-width of self.bitset, in each step or by drawing from it.",
        )


def trained_widths(subject: Subject) -> list[int]:
    """Return the bit-widths that training visits; none if there is no training."""
    seen = {bits for run in _runs(subject) for bits in _widths(run)}
    return [bits for bits in {FLOAT_BITS: None, **dict.fromkeys(subject.bitset)} if bits in seen]


def _widths(run: Run) -> set[int]:
    return {bits for part in chain(*run.steps) for bits in part.widths()}


def passes_depend_on_the_step_alone(subject: Subject) -> None:
    """The same step gives the same passes, so that a run can be continued and repeated."""
    there, layers = _attached(subject)
    for run in _runs(subject):
        for step, passes in enumerate(run.steps):
            again = [there.passes(run.training, step_info(step, STEPS), layers) for _ in range(2)]
            require(
                all(_comparable(one) == _comparable(passes) for one in again),
                f"Different calls of passes() for step {step} give different passes.",
                "Draw from step_info.generator alone, and keep no count of calls.",
            )


def separate_updates_follow_every_pass(subject: Subject) -> None:
    """If the recipe says separate updates, every pass is followed by one."""
    for run in _runs(subject):
        require(
            run.training.update != "separate" or all(part.update for part in chain(*run.steps)),
            "training.update is 'separate', but a pass has update=False.",
            'Set update=training.update == "separate" in every Pass, or refuse the recipe in '
            "skip().",
        )


@lru_cache(maxsize=1)
def _runs(subject: Subject) -> list[Run]:
    """Return a run for every recipe that the method accepts."""
    specs = [
        run_spec(
            subject.name,
            subject.spec.method.options,
            subject.bitset,
            subject.material,
            update=update,
            distillation=distillation,
        )
        for update, distillation in product(("conventional", "separate"), ("none", "neighbour"))
    ]
    accepted = [spec.training for spec in specs if facts.refusal(spec) is None]
    method, layers = _attached(subject)
    steps = range(STEPS if method.trains else 0)
    return [
        Run(training, [method.passes(training, step_info(step, STEPS), layers) for step in steps])
        for training in accepted
    ]


def _steps(subject: Subject) -> list[list[Pass]]:
    """Return the passes of every step of every run."""
    return [step for run in _runs(subject) for step in run.steps]


def _attached(subject: Subject) -> tuple[Method, list[str]]:
    """Return a method that knows its network, and the layers of that."""
    method = subject.method()
    return method, list(quantized(method).layers)


def _comparable(passes: list[Pass]) -> list[Pass]:
    """Return what equal steps have in common; functions cannot be compared."""
    return [replace(part, setup=None) for part in passes]
