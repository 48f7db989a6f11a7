"""Rows about sensitivities and searches, for the tidy tables."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bitswitch.report.run_records import ScoringRecord, SearchRecord
from bitswitch.spec import title_of
from bitswitch.suite import Suite

Row = dict[str, Any]


def sensitivity_rows(suite: Suite, records: Mapping[str, ScoringRecord | None]) -> Iterator[Row]:
    """Yield one row per sensitivity of the suite, complete or not."""
    for key, spec in suite.sensitivities.items():
        row = {
            "sensitivity": key,
            "plugin": spec.sensitivity.name,
            "run": spec.run.run_id,
            "model": spec.run.model.name,
            "epoch": spec.epoch,
            "bitset": title_of(spec.bitset),
            "seed": spec.seed,
            "images": spec.images,
            "status": "missing",
        }
        record = records[key]
        if record is not None:
            result = record.result.model_dump(exclude={"identifier", "facts"})
            facts = json.dumps(record.result.facts)
            row |= result | {"facts": facts, "code_hash": record.provenance.get("code_hash")}
        yield row


def score_rows(records: Mapping[str, ScoringRecord | None]) -> Iterator[Row]:
    """Yield one row per score."""
    for key, record in records.items():
        positions: dict[str, int] = {}
        for score in record.scores if record else ():
            position = positions.setdefault(score.layer, len(positions))
            yield {"sensitivity": key, "position": position, **score._asdict()}


def policy_rows(suite: Suite, records: Mapping[str, SearchRecord | None]) -> Iterator[Row]:
    """Yield one row per search and budget, found or not."""
    for key, spec in suite.searches.items():
        record = records[key]
        for budget in spec.budgets:
            row = {
                "search": key,
                "plugin": spec.search.name,
                "run": spec.run.run_id,
                "model": spec.run.model.name,
                "seed": spec.seed,
                "budget": budget.name,
                "tied": spec.tied,
                "edges": spec.edges,
                "status": "missing",
            }
            if record is not None:
                row |= {"status": record.result.status, "diagnosis": record.result.diagnosis}
                row["code_hash"] = record.provenance.get("code_hash")
            if record is not None and budget.name in record.policies:
                file = record.policies[budget.name]
                row |= record.result.budgets[budget.name].model_dump()
                row |= file.costs.model_dump() | {"held_out_top1": file.held_out_top1}
            yield row


def layer_rows(records: Mapping[str, SearchRecord | None]) -> Iterator[Row]:
    """Yield one row per layer of every policy that was found."""
    for key, record in records.items():
        for budget, file in record.policies.items() if record else ():
            for position, (layer, (weight, activation)) in enumerate(file.layers.items()):
                yield {
                    "search": key,
                    "budget": budget,
                    "position": position,
                    "layer": layer,
                    "weight_bits": weight,
                    "activation_bits": activation,
                }
