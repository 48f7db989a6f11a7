"""From a claim to the cells of a suite that it is about."""

from collections.abc import Collection, Iterable, Iterator
from functools import cache
from itertools import product
from typing import NamedTuple

from bitswitch.assets import asset
from bitswitch.errors import SpecError, hint
from bitswitch.report.analysis import budgets
from bitswitch.report.collect import published
from bitswitch.spec.yaml_files import explained
from bitswitch.suite.claims import AXES, ClaimSpec, Selection
from bitswitch.suite.suite import Suite, read_suite
from bitswitch.types import BitSet, format_bitset

Names = tuple[object, ...]


class Spot(NamedTuple):
    """One cell of a table of a suite."""

    experiment: str
    network: str
    variant: str
    bitset: BitSet
    policy: str

    @property
    def row(self) -> tuple[str, str, str, BitSet]:
        """The row that it stands in."""
        return self[:4]


class Pair(NamedTuple):
    """Two cells that a claim compares; it may be about single ones."""

    left: Spot
    right: Spot | None = None

    @property
    def spots(self) -> tuple[Spot, ...]:
        """Those that there are."""
        return (self.left, self.right) if self.right else (self.left,)


class NotCovered(Exception):  # noqa: N818  (a finding, not a fault)
    """The suite has no cells that a claim is about; the text is the reason."""


def known_claims(suite: Suite) -> dict[str, ClaimSpec]:
    """Return the claims of the publication, then the suite's own."""
    return {**published.claims(), **suite.claims}


def check(suite: Suite) -> None:
    """Raise unless the cells of all claims of the suite's own exist.

    Raises:
        SpecError: a claim about a cell that cannot exist, or of a name that is taken.
    """
    for name, claim in suite.claims.items():
        if name in published.claims():
            raise SpecError(f"claims.{name}: {published.PAPER} has a claim of that name already.")
        with explained(f"claims.{name}"):
            _check(claim, suite)


def _check(claim: ClaimSpec, suite: Suite) -> None:
    """Raise unless the cells of one claim exist."""
    try:
        resolve(claim, suite)
    except NotCovered as gap:
        raise SpecError(str(gap)) from None
    for side, selection in {"left": claim.left, "right": claim.right}.items():
        if selection is not None:
            _check_all_exist(side, selection, suite)


def _check_all_exist(where: str, selection: Selection, suite: Suite) -> None:
    """Raise unless everything that ``selection`` names has a cell."""
    spots = list(_spots(selection, suite, stand_in=True))
    named: dict[str, tuple[Names, set[object]]] = {
        "network": (selection.networks, {spot.network for spot in spots}),
        "variant": (selection.variants, {spot.variant for spot in spots}),
        "bit set": (selection.bitsets, {spot.bitset for spot in spots}),
        "policy": (selection.policies, {spot.policy for spot in spots}),
    }
    for kind, (wanted, found) in named.items():
        for one in wanted:
            if one not in found:
                raise SpecError(f"{where}: {_nothing(kind, one, _alike(selection, suite, kind))}")


def resolve(claim: ClaimSpec, suite: Suite) -> list[Pair]:
    """Return the pairs of cells of ``suite`` that a claim is about.

    On embedded data, where no printed network has them, those of networks that are published as no
    other stand in.

    Raises:
        NotCovered: there are none.
        SpecError: it names a printed cell that there is not.
    """
    pairs: list[Pair] = []
    for stand_in in (False, True) if suite.data == "embedded" else (False,):
        pairs = list(_pairs(claim, suite, stand_in))
        if pairs:
            return pairs
    for selection in filter(None, (claim.left, claim.right)):
        _explain(selection, suite)
    raise NotCovered("no network has cells of both sides" if claim.right else _limited(claim))


def _limited(claim: ClaimSpec) -> str:
    return f"no network is published as {' or '.join(claim.limits)}"


def _pairs(claim: ClaimSpec, suite: Suite, stand_in: bool) -> Iterator[Pair]:
    left = list(_spots(claim.left, suite, stand_in))
    if claim.right is None:
        yield from (Pair(one) for one in left if _is_meant(claim, one, suite, stand_in))
        return
    right = list(_spots(claim.right, suite, stand_in))
    for one, other in product(left, right):
        if one != other and _belong(claim.left, claim.right, one, other):
            yield Pair(one, other)


def _is_meant(claim: ClaimSpec, spot: Spot, suite: Suite, stand_in: bool) -> bool:
    """Return whether a claim about single cells is about this one."""
    if claim.measure == "search-time" and spot.policy.isdigit():
        return False
    return not claim.limits or stand_in or limit_of(claim, spot, suite) is not None


def limit_of(claim: ClaimSpec, spot: Spot, suite: Suite) -> float | None:
    """Return the minutes that a claim grants to the network of a cell, if it names it."""
    model = suite.networks[spot.network].published
    return claim.limits.get(spot.network, claim.limits.get(model))


def _belong(left: Selection, right: Selection, one: Spot, other: Spot) -> bool:
    """Return whether two cells are compared: see ``ClaimSpec.right``."""
    return one.network == other.network and all(
        _fit(getattr(left, axis), getattr(right, axis), of_one, of_other)
        for axis, of_one, of_other in (
            (AXES[0], _row(left, one), _row(right, other)),
            (AXES[1], one.bitset, other.bitset),
            (AXES[2], one.policy, other.policy),
        )
    )


def _row(selection: Selection, spot: Spot) -> str:
    """Return what the row of a cell is called where it was selected."""
    return selection.row if selection.table else spot.variant


def _fit(left: Names, right: Names, one: object, other: object) -> bool:
    """Return whether two cells fit along one axis; a bit-width alone fits each set that has it.

    Args:
        left: The names of the left side.
        right: The names of the right side.
        one: What the left cell has.
        other: What the right cell has.
    """
    if left and right:
        alone = min(len(left), len(right)) == 1
        return alone or left.index(one) == right.index(other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        small, large = sorted((one, other), key=len)
        return small == large or (len(small) == 1 and small[0] in large)
    return one == other


def _spots(selection: Selection, suite: Suite, stand_in: bool) -> Iterator[Spot]:
    """Yield the cells that ``selection`` names, in the suite's order.

    Args:
        selection: Of a printed table or an experiment.
        suite: Whose cells.
        stand_in: Of a printed table, take networks that are published as no other.
    """
    if selection.table:
        wanted = printed_cells(selection)
        for spot in _of_experiments(_reproducing(selection, suite), suite):
            model = suite.networks[spot.network].published
            own = [one for one in wanted if one[0] == model or (stand_in and model == NONE)]
            if (spot.bitset, spot.policy) in {one[1:] for one in own}:
                yield spot
        return
    for spot in _of_experiments([(selection.experiment or "", None)], suite):
        if _is_named(selection, spot):
            yield spot


NONE = "none"
"""What a network is published as that no publication has."""


def _is_named(selection: Selection, spot: Spot) -> bool:
    """Return whether a cell of an experiment is one that ``selection`` names."""
    return all(
        not named or one in named
        for named, one in (
            (selection.networks, spot.network),
            (selection.variants, spot.variant),
            (selection.bitsets, spot.bitset),
            (selection.policies, spot.policy),
        )
    )


def _of_experiments(chosen: Iterable[tuple[str, str | None]], suite: Suite) -> Iterator[Spot]:
    """Yield the cells of experiments, each of one variant or of all."""
    wanted = set(chosen)
    for experiment, network, variant, bitset in suite.places():
        if {(experiment, variant), (experiment, None)} & wanted:
            for policy in policies_of(suite, experiment, variant, bitset):
                yield Spot(experiment, network, variant, bitset, policy)


def policies_of(suite: Suite, experiment: str, variant: str, bitset: BitSet) -> list[str]:
    """Return the columns that a row fills: bit-widths, and budgets of its search."""
    search = suite.experiments[experiment].variants[variant].search
    found = [budgets.column(budget) for budget in search.budgets] if search else []
    return [*map(str, bitset), *found]


def _reproducing(selection: Selection, suite: Suite) -> list[tuple[str, str]]:
    """Return experiments and variants that reproduce a printed row, the first variant of each."""
    found = []
    for name, experiment in suite.experiments.items():
        if experiment.printed == selection.table:
            rows = [
                key for key, one in experiment.variants.items() if one.published == selection.row
            ]
            found += [(name, key) for key in rows[:1]]
    return found


def printed_cells(selection: Selection) -> list[tuple[str, BitSet, str]]:
    """Return model, bit set and policy of the printed numbers that ``selection`` names.

    Raises:
        SpecError: there are none; the message names the nearest one.
    """
    printed = _printed()
    found = [
        cell[2:]
        for cell in printed
        if cell[:2] == (selection.table, selection.row)
        and selection.model in (None, cell[2])
        and (not selection.bitsets or cell[3] in selection.bitsets)
        and (not selection.policies or cell[4] in selection.policies)
    ]
    if found:
        return found
    known = {_place(*cell) for cell in printed}
    model, (bits, *_) = selection.model or "*", selection.bitsets or ((),)
    wanted = _place(
        str(selection.table), selection.row, model, bits, "/".join(selection.policies) or "*"
    )
    raise SpecError(f"no number is printed at '{wanted}'.{hint(wanted, sorted(known))}")


@cache
def _printed() -> tuple[tuple[str, str, str, BitSet, str], ...]:
    """Return table, row, model, bit set and policy of every printed value."""
    rows = published.tidy()
    rows = rows[(rows.metric == published.metric().name) & (rows.bitset != "FP")]
    columns = ["experiment", "variant", "model", "bitset", "policy"]
    return tuple(
        (str(table), str(row), str(model), _bits(str(bitset)), str(policy))
        for table, row, model, bitset, policy in rows[columns].itertuples(index=False)
    )


def _place(table: str, row: str, model: str, bitset: BitSet, policy: str) -> str:
    return f"{table}/{model}/{row}/{format_bitset(bitset)}/{policy}"


def _bits(bitset: str) -> BitSet:
    """Return the bit set of a title.

    >>> _bits("{8,6,4,2}")
    (8, 6, 4, 2)
    """
    return tuple(int(bits) for bits in bitset.strip("{}").split(","))


def _explain(selection: Selection, suite: Suite) -> None:
    """Raise with the reason why a suite has none of the cells of one side; nothing if it has some.

    Raises:
        NotCovered: always, but when it has some.
    """
    if any(_spots(selection, suite, stand_in=suite.data == "embedded")):
        return
    if selection.table:
        raise NotCovered(_no_print(selection, suite))
    experiment = suite.experiments.get(selection.experiment or "")
    if experiment is None:
        raise NotCovered(_nothing("experiment", selection.experiment, suite.experiments))
    known: dict[str, tuple[Collection[object], Collection[object]]] = {
        "network": (selection.networks, experiment.networks),
        "variant": (selection.variants, experiment.variants),
        "bit set": (selection.bitsets, _alike(selection, suite, "bit set")),
        "policy": (selection.policies, _alike(selection, suite, "policy")),
    }
    for kind, (named, there) in known.items():
        for one in named:
            if one not in there:
                raise NotCovered(_nothing(kind, one, there))
    raise NotCovered(f"experiment '{selection.experiment}' runs no such cell")


def _no_print(selection: Selection, suite: Suite) -> str:
    """Return why a suite has no cell of a printed row."""
    tables = {name for name, one in suite.experiments.items() if one.printed == selection.table}
    if not tables:
        place = published.place_of(str(selection.table))
        return f"no experiment of suite '{suite.name}' reproduces what is printed in {place}"
    found = _reproducing(selection, suite)
    if not found:
        return f"no variant of {' or '.join(tables)} is published as {selection.row}"
    experiment, variant = found[0]
    reason = suite.experiments[experiment].variants[variant].not_run
    if reason:
        return f"{experiment}, {variant}: {reason}"
    cells = sorted({(model, format_bitset(bits)) for model, bits, _ in printed_cells(selection)})
    where = ", ".join(f"{model} {bits}" for model, bits in cells)
    return f"{experiment}, {variant}: not run on {where} in suite '{suite.name}'"


def _alike(selection: Selection, suite: Suite, kind: str) -> set[object]:
    """Return the names of a kind that cells of the same table have."""
    named = {"network": 1, "variant": 2, "bit set": 3, "policy": 4}[kind]
    experiments = [(selection.experiment or "", None)]
    chosen = _reproducing(selection, suite) if selection.table else experiments
    return {spot[named] for spot in _of_experiments(chosen, suite)}


def _nothing(kind: str, name: object, known: Iterable[object]) -> str:
    """Return that a name has no cell, with the nearest that has one."""
    spelled, all_of = _spelled(name), sorted(map(_spelled, known))
    listed = ", ".join(all_of) or "none"
    return f"no {kind} '{spelled}' there.{hint(spelled, all_of)} known: {listed}"


def _spelled(name: object) -> str:
    return format_bitset(name) if isinstance(name, tuple) else str(name)


FULL = "paper"
"""Suite that comes with the package and covers most claims of the publication."""


def covering(name: str, suite: Suite) -> str | None:
    """Return the suite that comes with the package and has cells for a claim, if any."""
    return FULL if name in _covered() and suite.name != FULL else None


@cache
def _covered() -> frozenset[str]:
    """Return the claims of the publication that suite ``FULL`` has cells for."""
    suite = read_suite(asset("config", "suites", f"{FULL}.yaml"))

    def is_covered(claim: ClaimSpec) -> bool:
        try:
            return bool(resolve(claim, suite))
        except NotCovered:
            return False

    return frozenset(name for name, claim in published.claims().items() if is_covered(claim))
