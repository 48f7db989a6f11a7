"""The tables of docs/explanation/statistics.md; ``python -m`` this module makes them anew."""

import re
import sys
from functools import cache
from pathlib import Path

from bitswitch.report.collect import published
from bitswitch.report.render.table import DASH
from bitswitch.report.statistics import VERDICTS, fewest_seeds, seeds_needed
from tests.report.statistics import simulation
from tests.report.statistics.redrawn import FORTY, ONE, Redrawn
from tests.report.statistics.simulation import SCENARIOS, SUITES

PAGE = Path(__file__).parents[3] / "docs/explanation/statistics.md"

SPREADS = (0.2, 0.4, 0.6, 1.0)

FAMILIES = (1, 40)


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["-"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace(" - ", "-") for line in lines)


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def verdicts() -> str:
    rows = [[f"`{verdict}`", meaning] for verdict, meaning in VERDICTS.items()]
    return table(["verdict", "meaning"], rows)


def testable() -> str:
    claims = (1, 2, 3, 6, 12, 25, 40)
    return table(
        ["claims tested together", *map(str, claims)],
        [["seeds from which each can be significant", *(str(fewest_seeds(n)) for n in claims)]],
    )


@cache
def margins() -> tuple[float, ...]:
    """Return some of the margins that are printed, from the smallest to the largest."""
    claims = [claim for claim in published.claims().values() if claim.measure == "headline"]
    sizes = sorted(abs(claim.printed) for claim in claims if claim.printed is not None)
    return tuple(dict.fromkeys(sizes[at * (len(sizes) - 1) // 7] for at in range(8)))


def seeds() -> str:
    head = [f"{spread}, {n} claim{'s' * (n > 1)}" for n in FAMILIES for spread in SPREADS]
    rows = [
        [
            f"{size:.2f}",
            *(
                str(seeds_needed(size, spread, tests) or "> 1000")
                for tests in FAMILIES
                for spread in SPREADS
            ),
        ]
        for size in margins()
    ]
    return table(["printed", *head], rows)


def errors() -> str:
    rows = [[s.title, str(s.seeds), percent(s.rate())] for s in SCENARIOS]
    return table([f"{SUITES} suites in which no claim is true", "seeds", "any false verdict"], rows)


def intervals() -> str:
    kinds = {
        "normal differences": simulation.difference(simulation.normal),
        "differences with outliers": simulation.difference(simulation.heavy),
        "one skewed side": simulation.skewed,
    }
    head = [f"{one}, {kind}" for kind in kinds for one in ("Student", "BCa")]
    rows = []
    for count in (3, 6, 11, 25):
        found = [share for noise in kinds.values() for share in simulation.coverage(noise, count)]
        rows.append([str(count), *map(percent, found)])
    return table(["seeds", *head], rows)


def images() -> str:
    head = ["no claim is true", "seeds", "error by seeds", "by images"]
    rows = [_row(4 * SUITES, one) for one in ONE] + [_row(SUITES, one) for one in FORTY]
    return table([*head, "sign flips alone", "McNemar alone", "verdicts"], rows)


def _row(suites: int, scenario: Redrawn) -> list[str]:
    """Return how often claims of a scenario get false verdicts."""
    tests = scenario.tests(suites)
    seeds = " to ".join(map(str, sorted({min(scenario.seeds), max(scenario.seeds)})))
    errors = [f"{(of**2).mean() ** 0.5:.2f}" for of in (tests.by_seeds, tests.by_images)]
    shares = list(map(percent, tests.rates()))
    if scenario.margin:
        shares[:2] = DASH, DASH
    return [scenario.title, seeds, *errors, *shares]


FAST = {"verdicts": verdicts, "testable": testable, "seeds": seeds, "errors": errors}

SLOW = {"intervals": intervals, "images": images}


def shown(name: str) -> str:
    """Return a table as the page has it."""
    return re.search(rf"<!-- {name} -->\n(.*?)\n\n", PAGE.read_text(), re.DOTALL)[1]


if __name__ == "__main__":
    text = PAGE.read_text()
    for name in sys.argv[1:] or FAST | SLOW:
        text = text.replace(shown(name), (FAST | SLOW)[name]())
    PAGE.write_text(text)
