"""Rows about runs, their methods and tasks, and what training recorded, for the tidy tables."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bitswitch.report.collect.columns import RUNS
from bitswitch.report.collect.expansion import Expansion
from bitswitch.report.collect.headline import Headline
from bitswitch.results.records import RunRecord
from bitswitch.spec.run import RunSpec, title_of
from bitswitch.suite.suite import Suite

Records = Mapping[str, RunRecord | None]
Row = dict[str, Any]


def method_rows(expansion: Expansion) -> Iterator[Row]:
    """Yield the card of every method, in the order of the suite."""
    for name, card in expansion.methods.items():
        recipes = json.dumps(card["published_recipes"]) if card["published_recipes"] else None
        yield {**card, "method": name, "published_recipes": recipes}


def run_rows(suite: Suite, records: Records, expansion: Expansion) -> Iterator[Row]:
    """Yield one row per run, complete or not."""
    yield from (_run_row(suite.runs[key], record, expansion) for key, record in records.items())


def _run_row(run: RunSpec, record: RunRecord | None, expansion: Expansion) -> Row:
    """Return the row of one run in ``runs.csv``."""
    about, said = expansion.datasets[run.dataset.identifier], expansion.runs[run.run_id]
    row = {
        "run": run.run_id,
        "status": "missing",
        "method": run.method.name,
        "model": run.model.name,
        "dataset": run.dataset.name,
        "bitset": title_of(run.bitset),
        "seed": run.seed,
        **run.training.model_dump(include={"epochs", "batch_size", "learning_rate", "update"}),
        "alrs": run.training.alrs and run.training.alrs.variant,
        "storage": said["storage"],
        "sliced": " ".join(map(str, said["sliced"])),
        "inputs": "float" if run.is_float or "*" in (run.float_inputs or ()) else "quantized",
        "data_stamp": about["stamp"],
        "classes": about["outputs"],
        "test_images": about["sizes"]["test"],
    }
    if record is not None:
        measured = record.result.model_dump(exclude={"run_id", "epochs"})
        measured["negative_share"] = json.dumps(measured["negative_share"])
        row |= record.provenance.model_dump(include=set(RUNS)) | measured
    return row


def task_rows(suite: Suite, datasets: Mapping[str, Any]) -> Iterator[Row]:
    """Yield what counts on every network of a table."""
    networks = {cell.network: cell.run.dataset.identifier for cell in suite.cells}
    for network in filter(networks.__contains__, suite.networks):
        headline = Headline.of(datasets[networks[network]])
        about = headline.metric._asdict()
        yield {
            "network": network,
            "metric": about.pop("name"),
            **about,
            "measure": headline.measure,
            "chance": headline.chance,
            "chance_bound": headline.bound,
            "note": headline.note,
            "example": headline.example,
            "beside": json.dumps([metric._asdict() for metric in headline.beside]),
        }


def curve_rows(suite: Suite, records: Records, datasets: Mapping[str, Any]) -> Iterator[Row]:
    """Yield one row per run, epoch and bit-width."""
    for run_id, record in records.items():
        name = Headline.of(datasets[suite.runs[run_id].dataset.identifier]).metric.name
        for epoch in record.epochs if record else ():
            common = {
                "run": run_id,
                **epoch.model_dump(include={"epoch", "steps", "learning_rate"}),
            }
            for bits, values in epoch.bits.items():
                found = values.model_dump()
                headlines = {
                    "headline": found.get(name),
                    "held_out_headline": found.get(f"held_out_{name}"),
                }
                yield common | {"bits": bits, **found, **headlines}


def gradient_rows(records: Records) -> Iterator[Row]:
    """Yield one row per run, epoch, operand, bit-width and layer."""
    for run_id, record in records.items():
        for epoch in record.epochs if record else ():
            for operand, by_bits in epoch.scale_gradients.items():
                for bits, layers in by_bits.items():
                    for position, (layer, values) in enumerate(layers.items()):
                        yield {
                            "run": run_id,
                            "epoch": epoch.epoch,
                            "operand": operand,
                            "bits": bits,
                            "position": position,
                            "layer": layer,
                            **values.model_dump(),
                        }
