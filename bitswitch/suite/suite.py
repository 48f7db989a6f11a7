"""Suites: what is run, validated before any job starts.

A suite file names networks and experiments; it expands to ``Cell`` objects, each a place in a
table that one ``RunSpec`` fills.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, NonNegativeInt, field_validator, model_validator

from bitswitch.assets import asset
from bitswitch.errors import SpecError, hint, shown
from bitswitch.plugins import registry
from bitswitch.spec.run import Choice, RunSpec, SensitivitySpec
from bitswitch.spec.search import SearchSpec
from bitswitch.spec.yaml_files import explained, merge, read_yaml
from bitswitch.suite.base import content_of, lineage, states
from bitswitch.suite.claims import ClaimSpec
from bitswitch.suite.expansion import Place, is_deployed, refusal_of, run_of, scores_of, searches_of
from bitswitch.suite.seeds import Seeded
from bitswitch.suite.variants import BitSets, NetworkSpec, Seeds, VariantSpec
from bitswitch.text import Key, Title
from bitswitch.types import BitSet, Distinct, Strict

RESERVED = ("runs", "sensitivities", "searches", "deployments", "repeats", "reference", "data")
"""Folders beside the reports."""
_KNOWN = "known cells"
MOST_ENTRIES = 20_000
"""Table entries of a suite, and scores for them; the largest that comes with the package has a
tenth."""


class Beside(Strict):
    """A variant of another experiment of the suite."""

    experiment: Key
    """Its key in the suite."""
    variant: Key
    """Of that experiment."""


def _installed_table(name: str) -> str:
    """Return the name of a table that is installed.

    Raises:
        ValueError: it is none.
    """
    return _known("table", name, registry.names("tables"))


def _installed_figure(name: str) -> str:
    """Return the name of a figure that is installed.

    Raises:
        ValueError: it is none.
    """
    return _known("figure", name, registry.names("figures"))


def _known(kind: str, name: str, installed: list[str]) -> str:
    if name not in installed:
        raise ValueError(
            f"no {kind} '{shown(name)}'.{hint(name, installed)} installed: {', '.join(installed)}"
        )
    return name


class ExperimentSpec(Strict):
    """Variants compared on networks, and what shows them."""

    title: Title
    """Of its table."""
    printed: str | None = None
    """Printed table that it reproduces, e.g. ``table1``."""
    table: Annotated[str, AfterValidator(_installed_table)] = "accuracy"
    """What its table shows: the name of an entry point in group ``bitswitch.tables``."""
    figures: Distinct[Annotated[str, AfterValidator(_installed_figure)]] = ()
    """What is drawn of it: names of entry points in group ``bitswitch.figures``."""
    beside: Beside | None = None
    """What a table or figure sets beside it: the joint training beside separate ones (``cost``),
    the sub-nets of a network beside its traces (``traces-and-subnets``). A shared experiment may
    name one that the suite leaves out."""
    networks: Annotated[Distinct[str], Field(min_length=1)]
    """Of the suite, by name; the sections of its table."""
    variants: Annotated[dict[Key, VariantSpec], Field(min_length=1)]
    """What is compared, by name; the rows of its table."""
    bitsets: BitSets | None = None
    """Overrides the networks'."""
    network_bitsets: dict[Key, BitSets] = Field(default_factory=dict)
    """Overrides ``bitsets`` on single networks."""
    seeds: Seeds | None = None
    """Overrides those of networks and suite."""


class Cell(NamedTuple):
    """A place in a table, and the run that fills it."""

    experiment: str
    network: str
    variant: str
    bitset: BitSet
    """Of the row; a run of a variant with one network per bit-width has one of them."""
    seed: int
    run: RunSpec
    skipped: str | None = None
    """Why the method refuses this run, or None; a skipped cell has no run to wait for."""
    search: SearchSpec | None = None
    """What chooses policies of the trained network, if anything."""
    scores: tuple[SensitivitySpec, ...] = ()
    """What is reported of its layers; a network's snapshots, in order, for each way to score."""
    deploy: bool = False
    """Whether the trained network is exported as integers and compared with training."""
    train: bool = True
    """Whether the run is to be trained; else its scores alone are wanted."""

    @property
    def trained(self) -> tuple[RunSpec, ...]:
        """Its run and those that it starts from, first to last."""
        return (*self.run.ancestors, self.run) if self.train else ()

    @property
    def sensitivities(self) -> list[SensitivitySpec]:
        """All that the cell needs: for its run, those before it, its search and its report."""
        guides = [run.sensitivity for run in self.trained if run.sensitivity]
        searched = [self.search.sensitivity] if self.search and self.search.sensitivity else []
        return [*guides, *searched, *self.scores]

    @property
    def runs(self) -> list[RunSpec]:
        """All runs that the cell needs, its own and those that they start from included."""
        scored = [run for score in self.sensitivities for run in score.runs]
        return [*self.trained, *scored]

    @property
    def jobs(self) -> list[tuple[str, str]]:
        """All jobs that fill the cell: the folder where each leaves its result, its name there."""
        return [
            *(("runs", run.run_id) for run in self.runs),
            *(("sensitivities", one.identifier) for one in self.sensitivities),
            *([("searches", self.search.identifier)] if self.search else []),
            *([("deployments", self.run.run_id)] if self.deploy else []),
        ]


class Suite(Strict):
    """A named set of experiments."""

    name: Key
    """Of the folder of its results."""
    title: Title
    """Of its report."""
    data: Literal["embedded", "published", "made-up"]
    """``embedded`` results are stamped and never mixed with published-scale ones; ``made-up`` ones
    mean nothing, and say so: a rehearsal."""
    seeds: Seeds
    """Of all trainings, where nothing else is said: each row is trained once with each."""
    networks: dict[Key, NetworkSpec]
    """What is trained on what, by name."""
    experiments: Annotated[dict[Key, ExperimentSpec], Field(min_length=1)]
    """What is compared, by name: a shared experiment or one of its own."""
    claims: dict[Key, ClaimSpec] = Field(default_factory=dict)
    """What is said of its cells, besides the claims of the publication."""
    limits: dict[str, NonNegativeInt | dict[str, NonNegativeInt]] = Field(
        default_factory=dict, exclude_if=lambda found: not found
    )
    """Largest values of numbers by name, wherever these stand in recipes, options, searches and
    scores, defaults of plugins included; under the name of a plugin, other ones for it, which set
    options that are null or left out of specs, too: ``{epochs: 1, evaluations: 8, greedy:
    {evaluations: 60}}``."""

    @field_validator("name")
    @classmethod
    def _has_a_folder_of_its_own(cls, name: str) -> str:
        if name.casefold() in RESERVED:
            raise ValueError(
                f"'{name}' is a folder of results; its report would lie among them. "
                f"Choose another name than {', '.join(RESERVED)}"
            )
        return name

    @model_validator(mode="after")
    def _networks_exist(self) -> Self:
        for name, experiment in self.experiments.items():
            where = f"experiments.{name}"
            _check_networks(experiment.networks, self.networks, f"{where}.networks")
            for variant, recipe in experiment.variants.items():
                place = f"{where}.variants.{variant}.networks"
                _check_networks(recipe.networks or (), self.networks, place)
        return self

    @model_validator(mode="after")
    def _can_be_expanded(self) -> Self:
        entries = sum(
            len(self.seeds_of(name, network))
            * _entries(self.experiments[name].variants[variant], bitset)
            for name, network, variant, bitset in self.places()
        )
        if entries > MOST_ENTRIES:
            raise ValueError(
                f"its seeds, bit sets and variants make {entries:,} table entries and scores, more "
                f"than {MOST_ENTRIES:,}: leave some out, or make several suites"
            )
        return self

    def expanded_by(self, known: Callable[[], tuple[Cell, ...]]) -> Self:
        """Return this suite with cells that are known: no plugin is asked for them.

        Args:
            known: Returns them; called when they are needed first.
        """
        suite = self.model_copy()
        for name in suite.__dict__.keys() - Suite.model_fields:
            del suite.__dict__[name]  # what this suite has been expanded to
        suite.__dict__[_KNOWN] = known  # beside cached properties: no field, and nothing to compare
        return suite

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every place in every table, with its resolved run."""
        known: Callable[[], tuple[Cell, ...]] | None = self.__dict__.get(_KNOWN)
        return tuple(self._expand()) if known is None else known()

    def _expand(self) -> Iterator[Cell]:
        """Yield every cell; plugins are asked once for all seeds of a row."""
        of_seed: dict[int, Seeded] = {}
        for row in self.places():
            experiment, network, _, _ = row
            seeds = self.seeds_of(experiment, network)
            cells = list(self._cells(*row, seed=seeds[0]))
            for seed in seeds:
                seeded = of_seed.setdefault(seed, Seeded(seed))
                for cell in cells:
                    yield cell._replace(
                        seed=seed,
                        run=seeded.run(cell.run),
                        search=cell.search and seeded.search(cell.search),
                        scores=tuple(map(seeded.sensitivity, cell.scores)),
                    )

    def _cells(
        self, experiment: str, network: str, variant: str, bitset: BitSet, seed: int
    ) -> Iterator[Cell]:
        """Yield the cells of one row at one seed."""
        chosen, recipe = self.networks[network], self.experiments[experiment]
        where = f"experiments.{experiment}.variants.{variant} on {network}"
        changes = recipe.variants[variant]
        sets = [(bits,) for bits in bitset] if changes.one_network_per_bitwidth else [bitset]
        for trained in sets:
            place = Place(where, chosen, changes, trained, seed, self.data, self.limits)
            run = run_of(place)
            reason = refusal_of(place, run)
            about = (scores_of(place, run), is_deployed(place, run))
            for search in searches_of(place, run):
                yield Cell(experiment, network, variant, bitset, seed, run, reason, search, *about)

    def places(self) -> Iterator[tuple[str, str, str, BitSet]]:
        """Yield experiment, network, variant and bit set of every row that is run."""
        for name, experiment in self.experiments.items():
            for network in experiment.networks:
                for variant, recipe in experiment.variants.items():
                    elsewhere = recipe.networks is not None and network not in recipe.networks
                    if not recipe.not_run and not elsewhere:
                        for bitset in recipe.bitsets or self._bitsets(experiment, network):
                            yield name, network, variant, bitset

    def seeds_of(self, experiment: str, network: str) -> Seeds:
        """Return the seeds of every row of an experiment on one network."""
        return self.experiments[experiment].seeds or self.networks[network].seeds or self.seeds

    def _bitsets(self, experiment: ExperimentSpec, network: str) -> BitSets:
        """Return the bit sets of an experiment's rows on one network."""
        default = experiment.bitsets or self.networks[network].bitsets
        return experiment.network_bitsets.get(network, default)

    @property
    def run_cells(self) -> list[Cell]:
        """The cells that are not skipped."""
        return [cell for cell in self.cells if cell.skipped is None]

    @property
    def first_cells(self) -> list[Cell]:
        """Those of each row's first seed: the others differ from them in seeds alone."""
        return [
            cell
            for cell in self.run_cells
            if cell.seed == self.seeds_of(cell.experiment, cell.network)[0]
        ]

    @cached_property
    def runs(self) -> dict[str, RunSpec]:
        """Every distinct run by id, each after those that it needs."""
        found = {run.run_id: run for cell in self.run_cells for run in cell.runs}
        return dict(sorted(found.items(), key=lambda item: len(item[1].ancestors)))

    @cached_property
    def sensitivities(self) -> dict[str, SensitivitySpec]:
        """Every distinct sensitivity by identifier."""
        return {one.identifier: one for cell in self.run_cells for one in cell.sensitivities}

    @cached_property
    def searches(self) -> dict[str, SearchSpec]:
        """Every distinct search by identifier."""
        found = [cell.search for cell in self.run_cells if cell.search]
        return {search.identifier: search for search in found}

    @cached_property
    def deployments(self) -> dict[str, RunSpec]:
        """Every distinct run whose network is exported, by id."""
        return {cell.run.run_id: cell.run for cell in self.run_cells if cell.deploy}

    @property
    def datasets(self) -> dict[str, Choice]:
        """Every distinct dataset by identifier."""
        seen = [*self.runs.values(), *(cell.run for cell in self.run_cells)]
        return {run.dataset.identifier: run.dataset for run in seen}


def suite_path(name: str, folder: Path = Path("config/suites")) -> Path:
    """Return the file of a suite.

    Args:
        name: Of a file in ``folder``, or of a suite that comes with the package; or a path that
            ends in ``.yaml``.
        folder: Where suites are looked for first.

    Raises:
        SpecError: there is no suite of that name.
    """
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    places = (folder, asset("config", "suites"))
    for place in places:
        path = place / f"{name}.yaml"
        if path.exists():
            return path
    known = sorted({path.stem for place in places for path in place.glob("*.yaml")})
    raise SpecError(
        f"There is no suite '{shown(name)}'.{hint(name, known)}\n"
        f"  known: {', '.join(known)}; a path that ends in .yaml names a file anywhere, and\n"
        f"  `bitswitch init NAME` starts a suite of your own"
    )


def _check_networks(names: Iterable[str], known: Mapping[str, NetworkSpec], where: str) -> None:
    for name in names:
        if name not in known:
            raise ValueError(
                f"{where}: no network '{shown(name)}'.{hint(name, known)} known: {', '.join(known)}"
            )


def _entries(variant: VariantSpec, bitset: BitSet) -> int:
    """Return how much has to be done for one seed of a variant on a bit set."""
    scores = sum(1 + len(score.epochs) for score in variant.scores)
    searches = len(variant.search.seeds) if variant.search else 1
    return (len(bitset) if variant.one_network_per_bitwidth else 1) * (searches + scores)


def called(path: Path, folder: Path = Path("config/suites")) -> str:
    """Return what commands call the suite in a file: its name where that finds it, else its path.

    Args:
        path: Of the file; relative to the working directory it stays so.
        folder: Where suites are looked for first.
    """
    with suppress(SpecError):
        if suite_path(path.stem, folder).samefile(path):
            return path.stem
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def load_suite(path: Path, experiments: Path | None = None) -> Suite:
    """Return the suite in ``path``.

    A suite's ``experiments`` are laid over the shared definitions of the same name in
    ``experiments.yaml``, which lies in the parent folder; else those in ``config`` of the working
    directory serve, else those that come with the package, so that a suite file may lie anywhere.

    Raises:
        SpecError: a file that cannot be read, an unknown key or an impossible combination.
        UnknownPluginError: a plugin that is not installed.
    """
    suite = read_suite(path, experiments)
    with explained(str(path)):
        _check_something_runs(suite)
    return suite


def read_suite(path: Path, experiments: Path | None = None) -> Suite:
    """Return the suite in ``path`` before any run of it is resolved: no plugin is asked.

    Raises:
        SpecError: a file that cannot be read, or an unknown key.
    """
    if experiments is None:
        places = [path.parent.parent / "experiments.yaml", Path("config/experiments.yaml")]
        found = (place for place in places if place.exists())
        experiments = next(found, None) or asset("config", "experiments.yaml")
    files = lineage(path, suite_path)
    return _read_suite(files, experiments, states(*files, experiments))


@cache
def _read_suite(files: tuple[Path, ...], experiments: Path, states: object) -> Suite:
    """Return what ``read_suite`` does; ``states`` tells versions of the files apart.

    Args:
        files: Of the suite, and of those that it is based on.
        experiments: The file of shared experiments.
        states: Of all files.
    """
    path, shared = files[0], read_yaml(experiments) or {}
    content = content_of(files)
    _check_mapping(content, str(path), "name, title, data, seeds, networks and experiments")
    _check_mapping(shared, str(experiments), "experiments by name")
    chosen = content.get("experiments") or {}
    if isinstance(chosen, dict):
        content["experiments"] = {
            name: _experiment(path, name, changes, shared, content.get("networks"))
            for name, changes in chosen.items()
        }
        _check_beside(path, content["experiments"], shared)
    with explained(str(path)):
        return Suite.model_validate(content)


def _check_mapping(content: Any, where: str, keys: str) -> None:
    if not isinstance(content, dict):
        found = "nothing" if content is None else shown(repr(content), 40)
        raise SpecError(f"{where} must hold a mapping of {keys}, not {found}")


def _experiment(
    path: Path, name: str, changes: Any, shared: dict[str, Any], networks: Any
) -> dict[str, Any]:
    """Return the experiment ``name`` of a suite: its own keys over the shared ones.

    Shared ones may name networks that the suite does not have, its own keys may not.
    """
    changes = {} if changes is None else changes
    where = f"experiments.{shown(name)}"
    _check_mapping(changes, f"{path}: {where}", "title, networks, variants and others")
    if name not in shared and changes.keys().isdisjoint(("variants", "arms")):
        raise SpecError(
            f"{path}: no shared experiment '{shown(name)}'.{hint(name, shared)}\n"
            f"  known: {', '.join(shared) or 'none'}; one of your own needs title and variants"
        )
    for network in changes.get("network_bitsets") or ():
        if isinstance(networks, dict) and network not in networks:
            raise SpecError(
                f"{path}: {where}.network_bitsets: no network '{shown(network)}'."
                f"{hint(network, networks)}"
            )
    laid_under = shared.get(name, {})
    _check_mapping(laid_under, f"experiments.yaml: {where}", "title, variants and others")
    return merge(laid_under, changes)


def _check_beside(path: Path, chosen: dict[str, Any], shared: dict[str, Any]) -> None:
    """Raise where an experiment names another one that neither the suite nor the shared ones have.

    The other one may be shared and left out of the suite; what is of a wrong type is left to the
    checks of single keys.
    """
    known = {**shared, **chosen}
    for name, experiment in chosen.items():
        beside = experiment.get("beside")
        if not isinstance(beside, dict) or not {"experiment", "variant"} <= beside.keys():
            continue
        where = f"{path}: experiments.{shown(name)}.beside"
        other, variant = str(beside["experiment"]), str(beside["variant"])
        if other not in known:
            raise SpecError(f"{where}: no experiment '{shown(other)}'.{hint(other, known)}")
        variants = (known[other] or {}).get("variants")
        if isinstance(variants, dict) and variant not in variants:
            raise SpecError(
                f"{where}: no variant '{shown(variant)}' in experiment '{other}'."
                f"{hint(variant, variants)}"
            )


def _check_something_runs(suite: Suite) -> None:
    if suite.runs:
        return
    reasons = Counter(cell.skipped for cell in suite.cells if cell.skipped)
    lines = [f"\n  {count} entries: {reason}" for reason, count in reasons.items()]
    raise SpecError(
        "no run is left: "
        + ("every entry is skipped" if lines else "no variant has one")
        + "".join(lines)
    )
