"""Checks of a sensitivity."""

from collections.abc import Callable
from math import isfinite

from bitswitch.contracts.sensitivity import Sensitivity, SensitivityScores
from bitswitch.testing.exploring import BITSET, found, snapshot, tensors_changed, trained_network
from bitswitch.testing.failure import require


def every_layer_is_scored(sensitivity: Sensitivity) -> None:
    """Every switchable layer is scored, once or at every bit-width, and nothing else is."""
    findings = found(sensitivity)
    require(
        isinstance(findings, SensitivityScores),
        f"score() returns a {type(findings).__name__}.",
        "Return Findings([Score(layer, 'layer', bits, value), ...]).",
    )
    layers, scored = set(trained_network().layers), {row.layer for row in findings.scores}
    require(
        scored == layers,
        f"It scores {sorted(scored)}; the switchable layers are {sorted(layers)}.",
        "Score every name in subject.model.layers.",
    )
    for operand in {row.operand for row in findings.scores}:
        for layer in layers:
            rows = [r for r in findings.scores if r.layer == layer and r.operand == operand]
            widths = [row.bits for row in rows]
            complete = widths == [None] or sorted(widths, key=str) == sorted(BITSET, key=str)
            require(
                complete,
                f"Layer '{layer}', operand '{operand}', is scored at {widths}.",
                f"Give one score with bits=None, or one for each of {list(BITSET)}.",
            )


def scores_are_numbers(sensitivity: Sensitivity) -> None:
    """Scores and their standard errors are finite numbers; no error is negative."""
    for row in found(sensitivity).scores:
        require(
            isfinite(row.value) and isfinite(row.standard_error) and row.standard_error >= 0,
            f"Layer '{row.layer}' at {row.bits} bits has score {row.value} and standard error "
            f"{row.standard_error}.",
            "Return finite numbers; where a score is exact its standard error is 0.",
        )


def scores_depend_on_the_seed_alone(sensitivity: Sensitivity) -> None:
    """The same network, batches and seed give the same scores."""
    first, second = found(sensitivity), found(sensitivity)
    require(
        first.scores == second.scores,
        "Two calls on equal networks give different scores.",
        "Draw everything that is random from subject.generator.",
    )


def the_network_stays_as_it_was(sensitivity: Sensitivity) -> None:
    """Scoring leaves the network as it was: tensors, gradients, modes, what is trained."""
    model = trained_network()
    before = snapshot(model)
    trained = [p.requires_grad for p in model.parameters()]
    found(sensitivity, model)
    changed = tensors_changed(before, snapshot(model))
    require(
        not changed,
        f"After score(), {', '.join(changed[:3])} has other values.",
        "Work on a copy, or put back what you change; use torch.autograd.grad, not backward().",
    )
    require(
        not any(module.training for module in model.modules()),
        "After score(), the network is in training mode.",
        "Leave it in evaluation mode, as it comes.",
    )
    require(
        trained == [p.requires_grad for p in model.parameters()],
        "After score(), requires_grad of some parameters differs.",
        "Put it back.",
    )


SENSITIVITY_CHECKS: tuple[Callable[[Sensitivity], None], ...] = (
    every_layer_is_scored,
    scores_are_numbers,
    scores_depend_on_the_seed_alone,
    the_network_stays_as_it_was,
)
