"""GPU hours of claims: ``python -m tests.planning.claim_costs`` writes them to a file."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest.mock import patch

from bitswitch.errors import SpecError
from bitswitch.planning import estimates, plan
from bitswitch.report.claims.costs import trained
from bitswitch.report.claims.needs import restricted
from bitswitch.report.collect import published
from bitswitch.results.files import write_bytes
from bitswitch.suite.suite import load_suite, suite_path

PATH = Path(__file__).parents[2] / "report" / "claims" / "costs.csv"
"""Of the file."""
SUITES = ("cifar10", "paper")


def text(suites: Sequence[str] = SUITES) -> str:
    """Return the file: of a GPU all is assumed, so that nothing needs to be measured."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("suite", "claim", "seeds", "runs", "gpu_hours"))
    with patch.object(estimates, "_pass_time", return_value=0.0):
        writer.writerows(_rows(suites))
    return file.getvalue()


def _rows(suites: Sequence[str]) -> Iterator[tuple[str, str, int, int, str]]:
    for name in suites:
        suite = load_suite(suite_path(name))
        for claim in published.claims():
            try:
                part = restricted(suite, claim)
            except SpecError:
                continue  # runs nothing that it is about
            hours = plan.make(part, "cpu").total.gpu_time_s / 3600
            yield name, claim, trained(part), len(part.runs), f"{hours:.1f}"


if __name__ == "__main__":
    write_bytes(PATH, text().encode())
