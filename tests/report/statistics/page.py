"""The tables of docs/explanation/statistics.md, made anew: ``python -m`` this module."""

import re
from functools import cache
from pathlib import Path

from bitswitch.report.collect import published
from bitswitch.report.render.table import DASH
from bitswitch.report.statistics import (
    VERDICTS,
    discordant,
    fewest_seeds,
    mcnemar,
    seeds_needed,
    sign_flip,
)
from tests.report.statistics import simulation
from tests.report.statistics.simulation import SCENARIOS, SUITES, Images

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
    claims = published.claims()
    sizes = sorted(abs(float(one)) for one in claims[claims.kind == "margin"].printed.dropna())
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
    rows = []
    for trained, count in ((0.0, 3), (0.7, 3), (0.3, 11), (1.3, 11)):
        found = [_image_ps(left, right) for left, right in Images(count, trained).right(SUITES)]
        shares = [sum(p <= 0.05 for p in ps) / SUITES for ps in zip(*found, strict=True)]
        if count < fewest_seeds():
            shares = shares[:2]
        dashes = [DASH] * (4 - len(shares))
        rows.append([f"{trained} points", str(count), *map(percent, shares), *dashes])
    head = ["noise between networks", "seeds", "McNemar, evaluations pooled"]
    return table([*head, "McNemar, images pooled", "sign flips", "both"], rows)


def _image_ps(left, right) -> tuple[float, ...]:
    pooled = mcnemar(int((left & ~right).sum()), int((right & ~left).sum()))
    by_image = discordant((left, right)).p
    flips = sign_flip(list(left.mean(axis=1) - right.mean(axis=1)))
    return pooled, by_image, flips, max(flips, by_image)


FAST = {"verdicts": verdicts, "testable": testable, "seeds": seeds, "errors": errors}

SLOW = {"intervals": intervals, "images": images}


def shown(name: str) -> str:
    """Return a table as the page has it."""
    return re.search(rf"<!-- {name} -->\n(.*?)\n\n", PAGE.read_text(), re.DOTALL)[1]


if __name__ == "__main__":
    text = PAGE.read_text()
    for name, make in (FAST | SLOW).items():
        text = text.replace(shown(name), make())
    PAGE.write_text(text)
