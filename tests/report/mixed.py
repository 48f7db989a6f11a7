"""Synthetic mixed precision: made-up scores and sub-nets in files as the real jobs leave them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bitswitch.contracts.sensitivity import Score
from bitswitch.costs import CostModel, LayerShape
from bitswitch.report.collect.columns import CORRECT_EXAMPLES
from bitswitch.report.collect.frames import Frames, frame
from bitswitch.results.correct import Correct
from bitswitch.results.policies import HeldOut, PolicyFile, costs_record
from bitswitch.results.scores import write_scores
from bitswitch.spec.run import SensitivitySpec
from bitswitch.spec.search import Budget, SearchSpec
from bitswitch.suite.suite import Suite
from tests.report.conftest import (
    LAYERS,
    NETWORK,
    OFF,
    PROVENANCE,
    TOP1,
    make_suite,
    seal,
    top1_line,
    top1_of,
    write_run,
)

TRACE = {"sensitivity": "hessian-trace"}
BUDGETS = [{"cost": "average-bits", "at_most": 4}, {"cost": "bitops", "of_uniform": 6}]
HASB = {"method": "hasb", "start": {}, "guide": TRACE}


def searching(search: str, budgets: list[dict[str, Any]] = BUDGETS, **changes: Any):
    return {"search": search, "budgets": budgets, "scores": TRACE, **changes}


EXPERIMENTS: dict[str, Any] = {
    "hmt": {
        "title": "Hessian traces",
        "table": "scoring",
        "figures": ["traces-and-subnets"],
        "beside": {"experiment": "fronts", "variant": "hasb"},
        "networks": ["resnet20"],
        "bitsets": [[8, 6, 4, 2]],
        "variants": {"hmt": {"title": "full precision", "scores": [TRACE]}},
    },
    "trace-stability": {
        "title": "Hessian traces over training",
        "table": "score-stability",
        "networks": ["resnet20"],
        "bitsets": [[8, 6, 4, 2]],
        "variants": {
            "joint": {
                "title": "Double Rounding",
                "training": {"snapshots": [1, 2]},
                "scores": [TRACE | {"of": "trained", "epochs": [0, 1, 2]}],
            }
        },
    },
    "search-comparison": {
        "title": "Searches",
        "table": "search",
        "networks": ["resnet20"],
        "bitsets": [[8, 6, 4, 2]],
        "variants": {
            "ilp": HASB | {"title": "ILP", "search": searching("ilp", retraining=OFF)},
            "random": HASB
            | {"title": "random", "search": searching("random", evaluations=5, seeds=[0, 1])},
            "greedy": HASB | {"title": "greedy", "search": searching("greedy")},
        },
    },
    "fronts": {
        "title": "Fronts",
        "table": "search",
        "figures": ["subnet-fronts"],
        "networks": ["resnet20"],
        "bitsets": [[8, 6, 4, 2], [4, 3, 2]],
        "variants": {
            "hasb": HASB
            | {
                "title": "HASB",
                "search": searching(
                    "ilp", [{"cost": "average-bits", "at_most": bits} for bits in (2.5, 3, 3.5)]
                ),
            },
            "uniform": {
                "title": "uniform sampling",
                "method": {"name": "hasb", "options": {"sampling": "uniform"}},
                "start": {},
                "search": searching(
                    "ilp", [{"cost": "average-bits", "at_most": bits} for bits in (2.5, 3, 3.5)]
                ),
            },
        },
    },
    "limited-share": {
        "title": "Draws",
        "figures": ["draws"],
        "networks": ["resnet20"],
        "bitsets": [[8, 6, 4, 2]],
        "variants": {
            "printed": HASB | {"title": "as printed"},
            "mean": HASB
            | {"title": "mean 4", "method": {"name": "hasb", "options": {"mean_bits": 4.0}}},
            "limit": HASB
            | {
                "title": "at most 25 %",
                "method": {"name": "hasb", "options": {"sensitive_limit": 0.25}},
            },
            "even": {
                "title": "even",
                "method": {"name": "hasb", "options": {"sampling": "uniform"}},
                "start": {},
            },
        },
    },
}
EXPERIMENTS["searched-layers"] = EXPERIMENTS["search-comparison"] | {
    "title": "Layers",
    "table": "layer-bits",
    "figures": ["layer-bits"],
}

EXPERIMENTS["search-pairs"] = EXPERIMENTS["search-comparison"] | {
    "title": "Pairs",
    "table": "search-pairs",
    "beside": {"experiment": "search-pairs", "variant": "ilp"},
}


def make_mixed(*names: str, **changes: Any) -> Suite:
    """Return a suite of the experiments ``names``; all of them without names."""
    chosen = {name: EXPERIMENTS[name] for name in names or EXPERIMENTS}
    network = {"title": "ResNet-20", "published": "resnet20", **NETWORK}
    fields = {"seeds": [0, 1], "networks": {"resnet20": network}, "experiments": chosen}
    return make_suite(**fields | changes)


def write_all(suite: Suite, results: Path) -> None:
    """Write every run, sensitivity and search of ``suite`` as if it had gone well."""
    for run in suite.runs.values():
        write_run(run, results)
    for scoring in suite.sensitivities.values():
        write_scoring(scoring, results)
    for search in suite.searches.values():
        write_search(search, results)


TRACES = dict(zip(LAYERS, (40.0, 8.0, 4.0, 2.0), strict=True))


def write_scoring(spec: SensitivitySpec, results: Path, **changes: Any) -> Path:
    """Write the folder of a sensitivity: traces that fall from layer to layer."""
    folder = results / "sensitivities" / spec.identifier
    folder.mkdir(parents=True)
    rng = np.random.default_rng([spec.seed, spec.epoch or 0])
    noise = rng.normal(0, 0.1, len(LAYERS))
    traces = [
        Score(layer, "layer", None, TRACES[layer] * float(np.exp(one)), TRACES[layer] / 20)
        for layer, one in zip(LAYERS, noise, strict=True)
    ]
    result = {"identifier": spec.identifier, "status": "complete", "diagnosis": None}
    result |= {"time_s": 2.5, "wall_time_s": 4.0, "peak_memory_mib": 300.0, "time_kind": "cpu"}
    result |= {"facts": {"probes": 12.0}} | changes
    write_scores(folder, traces if result["status"] == "complete" else [])
    (folder / "provenance.json").write_text(json.dumps(PROVENANCE))
    seal(folder, result)
    return folder


SHAPES = tuple(
    LayerShape(
        layer,
        "conv",
        weights=1000 * (at + 1),
        macs=50_000 * (4 - at),
        inputs=512,
        scales=1,
        in_channels=8,
        out_channels=8,
        kernel=3,
        stride=1,
        groups=1,
        fixed_bits=None,
    )
    for at, layer in enumerate(LAYERS)
)
COSTS = CostModel(SHAPES)


def policy_of(spec: SearchSpec, budget: Budget) -> dict[str, int]:
    """Return a policy within ``budget``: from the widest, layers are narrowed in some order."""
    limit = budget.at_most or COSTS.uniform(budget.cost, budget.of_uniform or 8)
    policy = dict.fromkeys(LAYERS, spec.run.bitset[0])
    rng = np.random.default_rng([len(spec.search.name), spec.seed])
    order = list(LAYERS) if spec.search.name == "ilp" else list(rng.permutation(LAYERS))
    while COSTS.total(budget.cost, policy) > limit:
        name = next(one for one in reversed(order) if policy[one] > spec.run.bitset[-1])
        policy[name] = spec.run.bitset[spec.run.bitset.index(policy[name]) + 1]
    return policy


def top1_at(spec: SearchSpec, policy: Mapping[str, int]) -> float:
    """Return a made-up accuracy, percent: the first layers matter most."""
    weights = np.array(list(TRACES.values()))
    tops = [top1_of(spec.run, bits) for bits in policy.values()]
    worse = 0.6 if spec.run.method.options.get("sampling") == "uniform" else 0.0
    return round(float(np.average(tops, weights=weights)) - worse, 1)


def write_search(
    spec: SearchSpec, results: Path, tops: Mapping[str, float] | None = None, **changes: Any
) -> Path:
    """Write the folder of a search.

    Args:
        spec: The search.
        results: Folder of all results.
        tops: Accuracies by metric, percent, where they are not made up.
        changes: Replace keys of ``result.json``.
    """
    folder = results / "searches" / spec.identifier
    folder.mkdir(parents=True)
    result: dict[str, Any] = {"identifier": spec.identifier, "status": "complete"}
    result |= {"diagnosis": None, "wall_time_s": 9.0, "time_kind": "cpu", "budgets": {}} | changes
    lines = []
    for budget in spec.budgets if result["status"] == "complete" else ():
        if budget.name in result.get("infeasible", ()):
            continue
        policy = policy_of(spec, budget)
        costs, top1 = COSTS.costs(policy), top1_at(spec, policy)
        result["budgets"][budget.name] = {
            "limit": budget.at_most or COSTS.uniform(budget.cost, budget.of_uniform or 8),
            "cost": costs.of(budget.cost),
            "candidates": 1,
            "evaluations": spec.evaluations,
            "search_time_s": 1.5,
            "retraining_epochs": spec.retraining.epochs if spec.retraining else 0,
            "retraining_time_s": 4.0 if spec.retraining else 0.0,
        }
        limit = result["budgets"][budget.name]["limit"]
        widths = {bits: COSTS.uniform(budget.cost, bits) for bits in spec.run.bitset}
        bits = max(bits for bits, cost in widths.items() if cost <= limit)
        result["budgets"][budget.name] |= {"uniform_bits": bits, "uniform_cost": widths[bits]}
        uniform = top1_at(spec, dict.fromkeys(LAYERS, bits))
        PolicyFile(
            run=spec.run.run_id,
            model=spec.run.model.name,
            dataset=spec.run.dataset.name,
            bitset=spec.run.bitset,
            search=spec.search.name,
            budget=budget.name,
            held_out=HeldOut.of(TOP1, {"top1": top1}),
            costs=costs_record(costs, spec.first_last),
            layers={name: (bits, bits) for name, bits in policy.items()},
        ).write(folder / "policies" / f"{budget.name}.json")
        found = {"top1": top1, "top1_uniform": uniform}
        found |= {"top1_retrained": top1 + 0.5} if spec.retraining else {}
        found |= tops or {}
        lines += [
            top1_line(split, budget.name, key, v)
            for key, v in found.items()
            for split in ("test", "held_out")
        ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "provenance.json").write_text(json.dumps(PROVENANCE))
    seal(folder, result)
    return folder


def kept(frames: Frames, right: Mapping[str, Iterable[int]], metric: str = "top1") -> Frames:
    """Return results that say which of 1000 test images every sub-net got right.

    Args:
        frames: Collected results.
        right: Indices of images, by variant; those of others are not known.
        metric: Whose share they are.
    """
    rows = frames.reproduced.dropna(subset="search")
    places = rows[["variant", "search", "policy"]].drop_duplicates(["search", "policy"])
    lines = [
        {"job": row.search}
        | Correct.pack(
            str(row.policy),
            metric,
            np.isin(np.arange(1000), [*right[str(row.variant)]]).astype(int),
        ).model_dump()
        for row in places.itertuples()
        if row.variant in right
    ]
    before = frames.correct_examples
    return replace(frames, correct_examples=pd.concat([before, frame(lines, CORRECT_EXAMPLES)]))
