"""Rows about sensitivities and searches, for the tidy tables."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bitswitch.results.records import ScoringRecord, SearchRecord
from bitswitch.spec.run import title_of
from bitswitch.suite.suite import Cell, Suite

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
            "images": spec.examples,
            "status": "missing",
        }
        record = records[key]
        if record is not None:
            result = record.result.model_dump(exclude={"identifier", "facts", "images"})
            row["images"] = record.result.images or spec.examples
            facts = json.dumps({key: float(fact) for key, fact in record.result.facts.items()})
            row |= result | {"facts": facts, "code_hash": record.provenance.code_hash}
        yield row


def score_rows(records: Mapping[str, ScoringRecord | None]) -> Iterator[Row]:
    """Yield one row per score."""
    for key, record in records.items():
        positions: dict[str, int] = {}
        for score in record.scores if record else ():
            position = positions.setdefault(score.layer, len(positions))
            yield {"sensitivity": key, "position": position, **score._asdict()}


def use_rows(suite: Suite) -> Iterator[Row]:
    """Yield one row per place and sensitivity that serves it, each once."""
    rows = {tuple(row.values()): row for cell in suite.cells for row in _uses(cell)}
    yield from rows.values()


def _uses(cell: Cell) -> Iterator[Row]:
    """Yield what serves one cell."""
    if cell.skipped is not None:
        return
    searched = cell.search.sensitivity if cell.search else None
    uses = [("reported", one) for one in cell.scores]
    uses += [("guide", one) for one in [cell.run.sensitivity] if one]
    uses += [("search", one) for one in [searched] if one]
    for use, spec in uses:
        yield {
            "experiment": cell.experiment,
            "network": cell.network,
            "variant": cell.variant,
            "bitset": title_of(cell.bitset),
            "seed": cell.seed,
            "use": use,
            "sensitivity": spec.identifier,
        }


def need_rows(suite: Suite) -> Iterator[Row]:
    """Yield one row per job of the suite and run or sensitivity that it needs itself."""
    needs: dict[str, list[str]] = {}
    for key, run in suite.runs.items():
        guide = [run.sensitivity.identifier] if run.sensitivity else []
        needs[key] = [*([run.start.run_id] if run.start else []), *guide]
    for key, spec in suite.sensitivities.items():
        first = spec.run.start if spec.epoch == 0 else spec.run
        needs[key] = [first.run_id] if first else []
    for key, search in suite.searches.items():
        read = [search.sensitivity.identifier] if search.sensitivity else []
        needs[key] = [search.run.run_id, *read]
    yield from ({"job": job, "needs": one} for job, some in needs.items() for one in some)


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
                "first_last": spec.first_last,
                "status": "missing",
            }
            if record is not None:
                row |= {"status": record.result.status, "diagnosis": record.result.diagnosis}
                if budget.name in record.result.infeasible:
                    why = record.result.infeasible[budget.name]
                    row |= {"status": "infeasible", "diagnosis": why}
                row["code_hash"] = record.provenance.code_hash
            if record is not None and budget.name in record.policies:
                file = record.policies[budget.name]
                row |= record.result.budgets[budget.name].model_dump()
                row |= file.costs.model_dump() | {
                    "held_out_headline": None if file.held_out is None else file.held_out.value
                }
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
