"""Rows about deployments, for the tidy tables."""

from collections.abc import Iterator, Mapping
from typing import Any

from bitswitch.results.deployments import DeploymentRecord
from bitswitch.suite.suite import Suite

Row = dict[str, Any]
Records = Mapping[str, DeploymentRecord | None]


def parity_rows(suite: Suite, found: Records) -> Iterator[Row]:
    """Yield one row per deployed run and bit-width, compared or not."""
    for key, run in suite.deployments.items():
        record = found[key]
        row: Row = {"run": key, "status": "missing"}
        if record is not None:
            about = record.result.model_dump(include={"status", "diagnosis"})
            row |= about | {"code_hash": record.provenance.code_hash}
        if record is not None and record.parity:
            for line in record.parity:
                yield row | line.model_dump() | {"predictions": line.predictions or line.images}
        else:
            yield from (row | {"bits": bits} for bits in run.bitset)


def storage_rows(found: Records) -> Iterator[Row]:
    """Yield one row per deployed run and form of it; those in memory with the time of a switch."""
    for key, record in found.items():
        for line in record.storage if record else ():
            times = record.result.switch_s if record and line.form == "memory" else {}
            yield {"run": key, **line.model_dump(), "switch_s": times.get(line.bits or 0)}


def rounding_rows(found: Records) -> Iterator[Row]:
    """Yield one row per deployed run, layer and bit-width."""
    yield from (
        {"run": key, **line.model_dump()}
        for key, record in found.items()
        for line in (record.rounding if record else ())
    )
