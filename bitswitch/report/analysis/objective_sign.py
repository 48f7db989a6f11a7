"""What the printed search objective chooses, computed with published sensitivities of ResNet-18."""

from collections.abc import Iterator, Sequence

import pandas as pd

from bitswitch.costs import Constraint, CostModel, LayerShape
from bitswitch.report.render.assets import asset
from bitswitch.searches.exact.integer_program import Loss, Program
from bitswitch.types import Policy

SOURCE = "yao2021hawqv3"
"""Citation key of the publication whose sensitivities are used."""
BITSET = (8, 7, 6, 5, 4, 3, 2)
MEAN = 4
"""Mean bit-width of the policies."""
MEASURED = 4
"""Bit-width at which quantization errors are published; at b bits they are 4^(4 - b) as large."""
BUDGETS = {"average-bits": f"{MEAN} bits a layer", "weighted-average-bits": f"{MEAN} bits a weight"}
FEW = 5
"""How many of the most sensitive layers are shown."""

HEADER = (
    "budget",
    "objective",
    "Σ Ω",
    "BitOps, of w4a4",
    "mean bits of a layer",
    "mean bits of a weight",
    f"bits of the {FEW} most sensitive layers",
)

Row = Sequence[object]


def sensitivities() -> pd.DataFrame:
    """Return the mean Hessian trace, quantization errors and sizes of layers, by their names."""
    return pd.read_csv(asset("published", SOURCE, "sensitivity.csv"), index_col="layer")


def cost_model(rows: pd.DataFrame) -> CostModel:
    """Return costs of the published layers, as far as their weights and operations decide them."""
    shapes = [
        LayerShape(str(name), "conv", int(weights), int(macs), 0, 0, 0, 0, 0, 0, 1, None)
        for name, weights, macs in zip(rows.index, rows.weights, rows.macs, strict=True)
    ]
    return CostModel(shapes)


def choices() -> Iterator[Row]:
    """Yield what each objective chooses, and what that costs, under two budgets of 4 bits."""
    rows = sensitivities()
    costs, omega = cost_model(rows), _omega(rows)
    linear = rows.mean_trace.to_dict()

    def printed(layer: str, weight: int, activation: int) -> float:
        return float(linear[layer] * weight)

    def fixed(layer: str, weight: int, activation: int) -> float:
        return -printed(layer, weight, activation)

    layers, weights = (Constraint(cost, MEAN) for cost in ("average-bits", "weighted-average-bits"))
    for limit, title, loss, exact in (
        (layers, "least Σ t̄·b (as printed)", printed, True),
        (layers, "largest Σ t̄·b (sign fixed)", fixed, False),
        (layers, "least Σ Ω (default)", omega, False),
        (weights, "largest Σ t̄·b (sign fixed)", fixed, False),
        (weights, "least Σ Ω (default)", omega, False),
    ):
        policy = _best(costs, limit, loss, exact)
        yield BUDGETS[limit.cost], title, *_facts(rows, costs, omega, policy)
    uniform = dict.fromkeys(rows.index, (MEAN, MEAN))
    yield "both", f"none: {MEAN} bits in every layer", *_facts(rows, costs, omega, uniform)


def _omega(rows: pd.DataFrame) -> Loss:
    """Return the second-order loss, mean trace times squared error of the weights."""
    measured = (rows.mean_trace * rows[f"error_{MEASURED}bit"]).to_dict()
    return lambda layer, weight, activation: float(measured[layer] * 4.0 ** (MEASURED - weight))


def _best(costs: CostModel, limit: Constraint, loss: Loss, exact: bool) -> Policy:
    pairs = [(bits, bits) for bits in BITSET]
    return Program(costs, pairs, (limit,), loss, exact).solve()[0].policy


def _facts(rows: pd.DataFrame, costs: CostModel, omega: Loss, policy: Policy) -> Iterator[str]:
    """Yield the cells that a policy decides."""
    weight_bits = {
        layer: bits if isinstance(bits, int) else bits[0] for layer, bits in policy.items()
    }
    yield f"{sum(omega(layer, bits, bits) for layer, bits in weight_bits.items()):.3g}"
    yield f"{costs.total('bitops', policy) / costs.uniform('bitops', MEAN):.2f}"
    yield f"{costs.total('average-bits', policy):.2f}"
    yield f"{costs.total('weighted-average-bits', policy):.2f}"
    first = rows.mean_trace.nlargest(FEW).index
    yield ", ".join(str(weight_bits[layer]) for layer in first)
