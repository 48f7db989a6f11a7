"""Latency tables: measured or supplied milliseconds per layer and bit-widths."""

import csv
from math import inf
from pathlib import Path

from bitswitch.errors import SpecError

COLUMNS = ("layer", "weight_bits", "activation_bits", "latency_ms")


def read_latencies(path: Path) -> dict[tuple[str, int, int], float]:
    """Return the latencies in a CSV file by (layer, weight bits, activation bits).

    Raises:
        SpecError: the file is missing, lacks a column, or has a latency that is no time.
    """
    try:
        with path.open(newline="") as file:
            found: dict[tuple[str, int, int], float] = {}
            for row in csv.DictReader(file):
                key = row["layer"], int(row["weight_bits"]), int(row["activation_bits"])
                if key in found:
                    raise ValueError(f"layer '{key[0]}' has two latencies at w{key[1]}a{key[2]}")
                found[key] = _time(row["latency_ms"])
            return found
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise SpecError(
            f"{path} is no latency table ({type(error).__name__}: {error}).\n"
            f"  It is a CSV file with the columns {', '.join(COLUMNS)}."
        ) from None


def _time(text: str) -> float:
    value = float(text)
    if not 0 <= value < inf:
        raise ValueError(f"latency_ms is {text}")
    return value
