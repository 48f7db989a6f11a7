"""Scores of layers as files: ``scores.csv``, one row each."""

import csv
import io
from pathlib import Path

from bitswitch.contracts.sensitivity import Score, Scores
from bitswitch.errors import RecordError
from bitswitch.results import result
from bitswitch.results.files import write_bytes
from bitswitch.spec.run import SensitivitySpec

NAME = "scores.csv"


def write_scores(folder: Path, scores: list[Score]) -> None:
    """Write ``scores.csv`` below ``folder``; the last digit is kept."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Score._fields)
    for row in scores:
        bits = "" if row.bits is None else row.bits
        writer.writerow((row.layer, row.operand, bits, repr(row.value), repr(row.standard_error)))
    write_bytes(folder / NAME, text.getvalue().encode())


def read_scores(folder: Path, spec: SensitivitySpec) -> Scores:
    """Return the scores that ``spec`` has left in ``folder``.

    Raises:
        RecordError: they are not there, or not as they were written.
    """
    path = folder / NAME
    if not (folder / result.NAME).exists():
        raise RecordError(
            f"There are no scores {path}.\n"
            f"  Make them first: bitswitch score SUITE {spec.identifier}"
        )
    result.read_result(folder, NAME)
    try:
        with path.open(newline="") as file:
            rows = tuple(_score(row) for row in csv.DictReader(file))
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise RecordError(
            f"{path} holds no scores ({error}): it was damaged or edited.\n"
            f"  Delete {folder} and run again to make it anew."
        ) from None
    return Scores(rows, spec.sensitivity.name)


def _score(row: dict[str, str]) -> Score:
    operand = row["operand"]
    if operand not in ("layer", "weight", "activation"):
        raise ValueError(f"operand '{operand}'")
    return Score(
        row["layer"],
        operand,  # type: ignore[arg-type]  # one of three
        int(row["bits"]) if row["bits"] else None,
        float(row["value"]),
        float(row["standard_error"]),
    )
