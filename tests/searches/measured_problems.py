"""Problems whose evaluation is any function of the policy, and is counted."""

from dataclasses import replace
from itertools import pairwise

import torch

from bitswitch.costs import Constraint
from bitswitch.errors import SpecError

from .exact_problems import cost_model, evaluation, problem

WEIGHTS = (10, 40, 20, 80)


class Measured:
    """Evaluates by ``loss(policy)``; top-1 falls with it, in steps as with few images."""

    def __init__(self, loss, allowed):
        self.loss = loss
        self.allowed = allowed
        self.seen = []

    def __call__(self, policy, model=None):
        if not self.remaining():
            raise SpecError("no evaluation is left")
        self.seen.append(policy)
        loss = self.loss(policy)
        return evaluation(round(90 - loss, 1), loss)

    def remaining(self):
        return self.allowed - len(self.seen)


def rough_loss(policy):
    """Return a loss that is no sum over layers: neighbours that are both narrow suffer twice."""
    widths = [weight + activation for weight, activation in policy.values()]
    alone = sum((3 + k % 3) * 2.0 ** (4 - width / 2) for k, width in enumerate(widths))
    return alone + sum(24 / (one + other) for one, other in pairwise(widths) if one == other)


def measured_problem(
    limit=None, loss=rough_loss, allowed=1000, weights=WEIGHTS, seed=0, costs=None, **options
):
    """Return a problem and what counts its evaluations."""
    measured = Measured(loss, allowed)
    posed = replace(
        problem(costs or cost_model(weights), limit or Constraint("average-bits", 4.0), **options),
        evaluate=measured,
        remaining=measured.remaining,
        generator=torch.Generator().manual_seed(seed),
    )
    return posed, measured
