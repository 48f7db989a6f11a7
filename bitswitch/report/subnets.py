"""The sub-nets that searches found: what each costs, how good it is, and what finding it took."""

from collections.abc import Sequence

import pandas as pd

from bitswitch.report.frames import Frames

PLACE = ["experiment", "network", "arm", "bitset", "seed"]
"""Columns that say where in a suite a trained network stands."""

ACCURACIES = ["top1", "top1_retrained"]
"""Percent on the test split, as found and after training the sub-net on alone."""

COSTS = [
    "bitops",
    "size",
    "average_bits",
    "weighted_average_bits",
    "activation_bits",
    "latency",
]
"""As ``policies.csv`` has them: operations, bits, mean bits, milliseconds."""

EFFORT = ["scoring_time_s", "search_time_s", "evaluations", "retraining_epochs"]


def of_experiment(frames: Frames, experiment: str) -> pd.DataFrame:
    """Return one row per place, search seed and budget, in the suite's order.

    Columns: ``PLACE``, run, search, search_seed, budget, status, where, images (of the test
    split), ``ACCURACIES``, held_out_top1, ``COSTS``, ``EFFORT`` and candidates. What is missing is
    NaN; ``where`` says why.
    """
    rows = frames.metrics
    rows = rows[(rows.source == "reproduced") & (rows.experiment == experiment)]
    rows = rows[rows.search.notna() & (rows.split == "test")].rename(columns={"policy": "budget"})
    keys = [*PLACE, "run", "search", "search_seed", "budget", "status", "where"]
    found = rows[keys].drop_duplicates(ignore_index=True)
    for metric in ACCURACIES:
        values = rows.loc[rows.metric == metric, [*PLACE, "search", "budget", "value"]]
        values = values.rename(columns={"value": metric})
        found = found.merge(values, how="left", on=[*PLACE, "search", "budget"])
    policies = frames.policies[
        ["search", "budget", "held_out_top1", "candidates", *COSTS, *EFFORT[1:]]
    ]
    images = frames.runs[["run", "test_images"]].rename(columns={"test_images": "images"})
    found = found.merge(policies, how="left", on=["search", "budget"])
    found = found.merge(images, how="left", on="run")
    return found.merge(_scoring_times(frames), how="left", on=PLACE)


def uniform_of(frames: Frames, experiment: str) -> pd.DataFrame:
    """Return the trained networks at single bit-widths: columns ``PLACE``, bits and top1."""
    rows = frames.metrics
    rows = rows[(rows.source == "reproduced") & (rows.experiment == experiment)]
    rows = rows[rows.search.isna() & (rows.arm != "float") & (rows.status == "complete")]
    rows = rows[(rows.split == "test") & (rows.metric == "top1")]
    rows = rows.assign(bits=rows.policy.astype(int), top1=rows.value)
    return rows[[*PLACE, "bits", "top1"]].reset_index(drop=True)


def _scoring_times(frames: Frames) -> pd.DataFrame:
    """Return the seconds that the scores took which searches read, by place."""
    uses = frames.sensitivity_uses[frames.sensitivity_uses.use == "search"]
    times = frames.sensitivities[["sensitivity", "time_s"]]
    found = uses.merge(times, on="sensitivity").rename(columns={"time_s": "scoring_time_s"})
    return found[[*PLACE, "scoring_time_s"]]


def layers_of(frames: Frames, search: str, budget: str) -> pd.DataFrame:
    """Return the layers of one sub-net from the input: layer, weight_bits, activation_bits."""
    rows = frames.policy_layers
    rows = rows[(rows.search == search) & (rows.budget == budget)].sort_values("position")
    return rows[["layer", "weight_bits", "activation_bits"]].reset_index(drop=True)


def spell(layers: pd.DataFrame) -> str:
    """Return the bit-widths of a sub-net as text, from the input.

    Args:
        layers: See ``layers_of``.
    """
    pairs = zip(layers.weight_bits, layers.activation_bits, strict=True)
    return " ".join(_pair(int(weight), int(activation)) for weight, activation in pairs)


def _pair(weight: int, activation: int) -> str:
    return str(weight) if weight == activation else f"{weight}/{activation}"


def values_of(rows: pd.DataFrame, column: str) -> Sequence[float]:
    """Return what complete searches say in ``column``, one number per row."""
    good = rows.loc[rows.status == "complete", column]
    return [float(value) for value in good.dropna()]
