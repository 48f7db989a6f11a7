"""How tables and figures call the budgets of searches."""

from bitswitch.report.collect.frames import Frames
from bitswitch.spec.search import Budget

COSTS = {
    "bitops": "BitOps",
    "size": "size",
    "average-bits": "average bits",
    "weighted-average-bits": "average bits by weight",
    "activation-bits": "average bits of inputs",
    "latency": "latency",
}
"""Title of each cost that a budget may limit."""

UNITS = {"size": " bits", "latency": " ms"}


def of_experiment(frames: Frames, experiment: str) -> dict[str, Budget]:
    """Return the budgets of an experiment's searches by name, in the suite's order."""
    variants = frames.suite.experiments[experiment].variants.values()
    return {
        budget.name: budget
        for variant in variants
        if variant.search
        for budget in variant.search.budgets
    }


def title(budget: Budget) -> str:
    """Return the bound in words.

    >>> title(Budget(cost="average-bits", at_most=3))
    'average bits ≤ 3'
    >>> title(Budget(cost="bitops", of_uniform=4)), title(Budget(cost="size", share=0.5))
    ('BitOps ≤ w4a4', 'size ≤ 50 % of the widest')
    """
    if budget.at_most is not None:
        limit = f"{budget.at_most:g}{UNITS.get(budget.cost, '')}"
    elif budget.of_uniform is not None:
        limit = f"w{budget.of_uniform:g}a{budget.of_uniform:g}"
    else:
        limit = f"{100 * (budget.share or 1):g} % of the widest"
    return f"{COSTS[budget.cost]} ≤ {limit}"


def column(budget: Budget) -> str:
    """Return the heading of a column of headlines within the budget.

    >>> column(Budget(cost="average-bits", at_most=3))
    '3MP'

    Source: huang2025nearly, Table 3, for mixed precision of so many bits on average.
    """
    if budget.cost == "average-bits" and budget.at_most is not None:
        return f"{budget.at_most:g}MP"
    return title(budget)


def amount(cost: str, value: float) -> str:
    """Return a cost with its unit.

    Args:
        cost: Column of ``policies.csv``.
        value: As it stands there.

    >>> amount("bitops", 17e6), amount("size", 8000), amount("average_bits", 3)
    ('17.00 MBitOps', '1.0 kB', '3.00 bits')
    """
    if cost == "bitops":
        return f"{value / 1e6:.2f} MBitOps"
    if cost == "size":
        return f"{value / 8000:.1f} kB"
    return f"{value:.2f} {'ms' if cost == 'latency' else 'bits'}"
