"""The part of a suite that some claims need: a reader with one evening checks one of them."""

from collections.abc import Iterator

from bitswitch.errors import SpecError, hint
from bitswitch.report.claims.resolution import NotCovered, Pair, covering, known_claims, resolve
from bitswitch.suite.claims import ClaimSpec, Measure
from bitswitch.suite.suite import Cell, Suite
from bitswitch.types import BitSet

Wanted = dict[tuple[str, str, str, BitSet], set[tuple[Measure, str]]]
"""By row of a table: what is measured at which bit-widths and budgets."""


def chosen(suite: Suite, text: str) -> tuple[str, ...]:
    """Return the identifiers in a text like ``C08,C12``, each once.

    Raises:
        SpecError: one that no claim about the suite has, or none at all.
    """
    known = known_claims(suite)
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in known:
            raise SpecError(
                f"There is no claim '{name}' about suite '{suite.name}'.{hint(name, known)}\n"
                f"  `bitswitch claims SUITE` lists all {len(known)}"
            )
    if not names:
        raise SpecError(f"'{text}' names no claim; several are given like C08,C12")
    return names


def restricted(suite: Suite, text: str) -> Suite:
    """Return the suite with only those jobs that the claims in ``text`` need.

    Its tables and experiments stay what they are.

    Args:
        suite: What it is a part of.
        text: Identifiers of claims, as in ``chosen``.

    Raises:
        SpecError: as ``chosen``; or no run of the suite can fill the cells of a claim.
    """
    claims = known_claims(suite)
    wanted: Wanted = {}
    for name in chosen(suite, text):
        for pair in _pairs(name, claims[name], suite):
            for spot in pair.spots:
                wanted.setdefault(spot.row, set()).add((claims[name].measure, spot.policy))
    return suite.expanded_by(lambda: tuple(_needed(wanted, suite)))


def _needed(wanted: Wanted, suite: Suite) -> Iterator[Cell]:
    """Yield the cells that fill what is wanted, without the jobs that nothing looks at."""
    for cell in suite.run_cells:
        at = wanted.get((cell.experiment, cell.network, cell.variant, cell.bitset), set())
        widths = set(map(str, cell.run.bitset))
        if cell.run.bitset != cell.bitset:  # one network per bit-width
            at = {(measure, policy) for measure, policy in at if policy in widths}
        measures = {measure for measure, _ in at}
        if at:
            yield cell._replace(
                train=measures != {"scoring-time"},
                search=cell.search if {policy for _, policy in at} - widths else None,
                scores=cell.scores if "scoring-time" in measures else (),
                deploy=cell.deploy and "integers" in measures,
            )


def _pairs(name: str, claim: ClaimSpec, suite: Suite) -> list[Pair]:
    """Return the pairs of cells that a claim is about.

    Raises:
        SpecError: the suite has none.
    """
    try:
        return resolve(claim, suite)
    except NotCovered as gap:
        other = covering(name, suite)
        remedy = f"suite '{other}' does" if other else "no suite that comes with bitswitch does"
        raise SpecError(
            f"Suite '{suite.name}' runs nothing that claim {name} is about: {gap}\n  {remedy}"
        ) from None
