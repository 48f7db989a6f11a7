"""Scores of layers as they were measured: by place in a suite, by layer, over seeds."""

import pandas as pd

from bitswitch.report.collect.frames import Frames


def of_experiment(frames: Frames, experiment: str, use: str = "reported") -> pd.DataFrame:
    """Return the scores of an experiment's places, one row each, layers from the input.

    Args:
        frames: Collected results.
        experiment: Key in the suite.
        use: What for, see ``frames.SENSITIVITY_USES``.

    Returns:
        Columns of ``sensitivity_uses.csv``, ``sensitivities.csv`` and ``scores.csv``.
    """
    uses = frames.sensitivity_uses
    uses = uses[(uses.experiment == experiment) & (uses.use == use)]
    about = frames.sensitivities.drop(columns=["bitset", "seed"])
    return uses.merge(about, on="sensitivity").merge(frames.scores, on="sensitivity")


def of_layers(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per layer from the input: layer, value, error, spread.

    Args:
        rows: Scores that do not depend on the bit-width, one per layer and seed.

    Returns:
        ``value``: mean over seeds; ``error``: mean standard error of one estimate; ``spread``:
        standard deviation over seeds, 0 for one.
    """
    whole = rows[rows.bits.isna() & (rows.operand == "layer")]
    groups = whole.groupby(["position", "layer"])
    found = groups.value.mean().to_frame()
    found["error"] = groups.standard_error.mean()
    found["spread"] = groups.value.std().fillna(0.0)
    return found.reset_index()
