"""The sub-nets that searches found: what each costs, how good it is, and what finding it took."""

from collections.abc import Sequence

import pandas as pd

from bitswitch.contracts.metric import Metric
from bitswitch.report.analysis.effort import Effort
from bitswitch.report.analysis.values import Origin, Sample
from bitswitch.report.collect.columns import COSTS
from bitswitch.report.collect.frames import Frames, records

PLACE = ["experiment", "network", "variant", "bitset", "seed"]
"""Columns that say where in a suite a trained network stands."""

HEADLINES = ["headline", "headline_retrained"]
"""On the test split, as found and after training the sub-net on alone."""

TESTED = [*HEADLINES, "headline_uniform"]
"""The same, and that of the widest bit-width for all layers within the budget."""

ABOUT = ("status", "where", "measured", "noise")
"""What is said of each of them, in columns ``<headline>_<this>``."""

UNIFORM = ["uniform_bits", "uniform_cost", "limit"]
"""That bit-width, what it costs, and what it may."""

TIMES = ("score_training_time_s", "scoring_time_s", "search_time_s", "retraining_time_s")
"""Seconds beyond the searched network: training a network for the scores alone, scoring, searching
with all evaluations and training in it, and training the sub-net on."""

EFFORT = [*TIMES, "total_time_s", "evaluations", "retraining_epochs"]

FOUND = ["search_time_s", "retraining_time_s", "evaluations", "retraining_epochs"]
"""Of them, what ``policies.csv`` has."""


def of_experiment(frames: Frames, experiment: str) -> pd.DataFrame:
    """Return one row per place, search seed and budget, in the suite's order.

    Columns: ``PLACE``, run, search, search_seed, budget; status of the search, and where it says
    why there is no sub-net; images (of the test split); all ``TESTED``, and ``ABOUT`` each;
    held_out_headline, ``UNIFORM``, ``COSTS``, ``EFFORT`` and candidates. What is missing is NaN,
    and so is a value that is that of guessing.
    """
    rows = frames.reproduced
    rows = rows[rows.experiment == experiment]
    rows = rows[rows.search.notna() & (rows.split == "test")].rename(columns={"policy": "budget"})
    keys = [*PLACE, "search", "budget"]
    found = rows[[*keys, "run", "search_seed"]].drop_duplicates(ignore_index=True)
    for role in TESTED:
        values = rows.loc[rows.role == role, [*keys, "value", "noise", "status", "where"]]
        values = values.assign(**{role: values.value.where(values.status == "complete")})
        values = values.rename(columns={"value": "measured"})
        values = values.rename(columns={name: f"{role}_{name}" for name in ABOUT})
        found = found.merge(values, how="left", on=keys)
    found["status"] = found.headline_status.replace("collapsed", "complete")
    found["where"] = found.headline_where.where(found.status != "complete")
    policies = frames.policies[
        ["search", "budget", "held_out_headline", "candidates", *UNIFORM, *COSTS, *FOUND]
    ]
    images = frames.runs[["run", "test_images"]].rename(columns={"test_images": "images"})
    found = found.merge(policies, how="left", on=["search", "budget"])
    found = found.merge(images, how="left", on="run")
    return _with_scores(found, frames)


def uniform_of(frames: Frames, experiment: str) -> pd.DataFrame:
    """Return the searched networks at single bit-widths: ``PLACE``, bits, status and headline.

    They are the widest ones within some budget, tested as the sub-nets are. ``headline`` is NaN
    unless the status is complete.
    """
    rows = of_experiment(frames, experiment).dropna(
        subset=["uniform_bits", "headline_uniform_status"]
    )
    rows = rows.assign(
        bits=rows.uniform_bits.astype(int),
        status=rows.headline_uniform_status,
        headline=rows.headline_uniform.astype(float),
    )
    wanted = [*PLACE, "bits", "status", "headline"]
    return rows[wanted].drop_duplicates([*PLACE, "bits"], ignore_index=True)


def _with_scores(found: pd.DataFrame, frames: Frames) -> pd.DataFrame:
    """Return ``found`` with what its scores took, and all times together."""
    effort = Effort(frames)
    pairs = zip(found.search, found.run, strict=True)
    spent = [effort.of_scores(str(search), str(run)) for search, run in pairs]
    found = found.assign(
        score_training_time_s=[one.training_time_s for one in spent],
        scoring_time_s=[one.scoring_time_s for one in spent],
    )
    return found.assign(total_time_s=found[list(TIMES)].sum(axis=1, skipna=False))


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


def sample_of(rows: pd.DataFrame, role: str, metric: Metric) -> Sample:
    """Return one of the ``TESTED`` headlines of several sub-nets, those without it left out.

    Args:
        rows: See ``of_experiment``.
        role: Which one; one that no sub-net has makes an empty sample.
        metric: The headline.
    """
    values: dict[int, float] = {}
    trained: dict[int, int] = {}
    failed, origins = [], []
    about = [role, *(f"{role}_{one}" for one in ABOUT)]
    told = rows[["seed", "search_seed", "search", "status", "where", "images", *about]]
    blank = records(told)
    any_has_it = rows[f"{role}_status"].notna().any()
    for at, row in enumerate(blank if any_has_it else ()):
        status = row[f"{role}_status"] or row["status"]
        value = None if row[role] is None else float(row[role])
        origins.append(Origin.of(row, value, status))
        if value is not None:
            values[at], trained[at] = value, int(row["seed"])
        elif status != "complete":
            why = row[f"{role}_where"] or row["where"] or ""
            failed.append((status, why, row[f"{role}_measured"]))
    images = next((int(row["images"]) for row in blank if row["images"] is not None), None)
    return Sample(values, tuple(failed), images, metric, "sub-nets", tuple(origins), trained)


def values_of(rows: pd.DataFrame, column: str) -> Sequence[float]:
    """Return what complete searches say in ``column``, one number per row that has one."""
    good = rows.loc[rows.status == "complete", column]
    return [float(value) for value in good.dropna()]
