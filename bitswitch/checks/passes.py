"""Checks on the passes of a training step."""

from dataclasses import replace
from itertools import product

from bitswitch import plugins
from bitswitch.checks.failure import require
from bitswitch.checks.subject import Subject, moment, quantized, run_spec
from bitswitch.contracts import Method, Pass
from bitswitch.spec import TrainingSpec
from bitswitch.types import FLOAT_BITS

STEPS = 40
"""A run of so many steps has to visit every bit-width, even if they are drawn."""


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
                0 <= part.soft <= 1,
                f"Pass {position} ({part}) gives its teacher a share of {part.soft}.",
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
    """Every bit-width is trained within a run of 40 steps."""
    if not subject.method().trains:
        return
    for training in _trainings(subject):
        passes = [part for step in _run(subject, training) for part in step]
        seen = {bits for part in passes for bits in part.widths()}
        missing = [bits for bits in subject.bitset if bits not in seen]
        require(
            not missing,
            f"No pass in {STEPS} steps uses {missing} bit.",
            "Visit every bit-width of self.bitset, in each step or by drawing from it.",
        )


def passes_depend_on_the_moment_alone(subject: Subject) -> None:
    """The same moment gives the same passes, so that a run can be continued and repeated."""
    for training in _trainings(subject):
        there, layers = _attached(subject)
        for step, passes in enumerate(_run(subject, training)):
            again = [there.passes(training, moment(step, STEPS), layers) for _ in range(2)]
            require(
                all(_comparable(one) == _comparable(passes) for one in again),
                f"Different calls of passes() for step {step} give different passes.",
                "Draw from moment.generator alone, and keep no count of calls.",
            )


def separate_updates_follow_every_pass(subject: Subject) -> None:
    """If the recipe says separate updates, every pass is followed by one."""
    spec = run_spec(subject.name, subject.spec.method.options, subject.bitset, update="separate")
    if plugins.refusal(spec) is not None:
        return
    passes = [part for step in _run(subject, spec.training) for part in step]
    require(
        all(part.update for part in passes),
        "training.update is 'separate', but a pass has update=False.",
        'Set update=training.update == "separate" in every Pass, or refuse the recipe in skip().',
    )


def _trainings(subject: Subject) -> list[TrainingSpec]:
    """Return the recipes that the method accepts."""
    specs = [
        run_spec(
            subject.name,
            subject.spec.method.options,
            subject.bitset,
            update=update,
            distillation=distillation,
        )
        for update, distillation in product(("conventional", "separate"), ("none", "neighbour"))
    ]
    return [spec.training for spec in specs if plugins.refusal(spec) is None]


def _steps(subject: Subject) -> list[list[Pass]]:
    """Return the passes of every step of a run, for every recipe."""
    return [step for training in _trainings(subject) for step in _run(subject, training)]


def _run(subject: Subject, training: TrainingSpec) -> list[list[Pass]]:
    """Return the passes of every step of a run."""
    method, layers = _attached(subject)
    steps = range(STEPS if method.trains else 0)
    return [method.passes(training, moment(step, STEPS), layers) for step in steps]


def _attached(subject: Subject) -> tuple[Method, list[str]]:
    """Return a method that knows its network, and the layers of that."""
    method = subject.method()
    return method, list(quantized(method).layers)


def _comparable(passes: list[Pass]) -> list[Pass]:
    """Return what equal steps have in common; functions cannot be compared."""
    return [replace(part, setup=None) for part in passes]
