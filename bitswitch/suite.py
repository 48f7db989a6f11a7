"""Suites: what is run, validated before any job starts.

A suite file names networks and experiments; it expands to ``Cell`` objects, each a place in a
table that one ``RunSpec`` fills.
"""

from collections.abc import Iterator
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, model_validator

from bitswitch import plugins
from bitswitch.errors import SpecError, hint
from bitswitch.reading import explained, merge, read_yaml
from bitswitch.spec import BitWidth, Choice, RunSpec, TrainingSpec
from bitswitch.types import FLOAT_BITS, BitSet, Strict

BitSets = Annotated[tuple[tuple[BitWidth, ...], ...], Field(min_length=1)]
Seeds = Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)]
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
"""A name that is also part of file names."""


class NetworkSpec(Strict):
    """A model on a dataset, and how it is trained at full precision and jointly."""

    title: str
    published: str
    """Model key of the published rows it stands beside, e.g. ``resnet20``."""
    model: Choice
    dataset: Choice
    bitsets: BitSets
    float_training: TrainingSpec | None = None
    """None: start from the model's own pretrained weights."""
    training: TrainingSpec
    recipe: str | None = None
    """Dataset whose published recipe the preset ``faithful`` takes; None: the dataset's own."""
    seeds: Seeds | None = None
    """Overrides the suite's."""


class ArmSpec(Strict):
    """One row of a comparison."""

    title: str
    method: Choice = Choice(name="double-rounding")
    preset: Literal["equal", "faithful"] = "equal"
    """``equal``: the network's recipe, the same for every method; ``faithful``: the method's own
    published recipe over it."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Changes to the network's training spec, after the preset's."""
    separately: bool = False
    """Train one network per bit-width; together they fill one row."""
    networks: tuple[str, ...] | None = None
    """On which of the experiment's networks; None: all."""
    published: str | None = None
    """Printed row that stands beside it: ``method`` or ``method+kd``; None: none."""
    not_run: str | None = None
    """Why nobody can run it: only its printed row is shown."""
    epochs_factor: PositiveFloat = 1.0
    learning_rate_factor: PositiveFloat = 1.0
    bitsets: BitSets | None = None
    """Overrides the network's."""


class ExperimentSpec(Strict):
    """Arms compared on networks; a table or figure reads it by name."""

    title: str
    printed: str | None = None
    """Printed table that it reproduces, e.g. ``table1``."""
    networks: tuple[str, ...]
    arms: Annotated[dict[Key, ArmSpec], Field(min_length=1)]
    bitsets: BitSets | None = None
    """Overrides the networks'."""
    network_bitsets: dict[Key, BitSets] = Field(default_factory=dict)
    """Overrides ``bitsets`` on single networks."""
    seeds: Seeds | None = None


class Cell(NamedTuple):
    """A place in a table, and the run that fills it."""

    experiment: str
    network: str
    arm: str
    bitset: BitSet
    """Of the row; a run of a network trained separately has one of its bit-widths."""
    seed: int
    run: RunSpec
    skipped: str | None = None
    """Why the method refuses this run, or None; a skipped cell has no run to wait for."""


class Suite(Strict):
    """A named set of experiments."""

    name: Key
    title: str
    data: Literal["embedded", "published"]
    """``embedded`` results are stamped and never mixed with published-scale ones."""
    seeds: Seeds
    networks: dict[Key, NetworkSpec]
    experiments: Annotated[dict[Key, ExperimentSpec], Field(min_length=1)]

    @model_validator(mode="after")
    def _networks_exist(self) -> Self:
        for name, experiment in self.experiments.items():
            for network in experiment.networks:
                if network not in self.networks:
                    raise ValueError(
                        f"experiments.{name}.networks: no network '{network}'."
                        f"{hint(network, self.networks)} known: {', '.join(self.networks)}"
                    )
        return self

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every place in every table, with its resolved run."""
        return tuple(self._expand())

    def _expand(self) -> Iterator[Cell]:
        for experiment, network, arm, bitset in self._places():
            chosen, recipe = self.networks[network], self.experiments[experiment]
            where = f"experiments.{experiment}.arms.{arm} on {network}"
            changes = recipe.arms[arm]
            sets = [(bits,) for bits in bitset] if changes.separately else [bitset]
            for seed in recipe.seeds or chosen.seeds or self.seeds:
                for trained in sets:
                    run = _build(where, chosen, changes, trained, seed, self.data)
                    reason = _without_recipe(chosen, changes) or plugins.refusal(run)
                    yield Cell(experiment, network, arm, bitset, seed, run, reason)

    def _places(self) -> Iterator[tuple[str, str, str, BitSet]]:
        for name, experiment in self.experiments.items():
            for network in experiment.networks:
                for arm, recipe in experiment.arms.items():
                    elsewhere = recipe.networks is not None and network not in recipe.networks
                    if not recipe.not_run and not elsewhere:
                        for bitset in recipe.bitsets or self._bitsets(experiment, network):
                            yield name, network, arm, bitset

    def _bitsets(self, experiment: ExperimentSpec, network: str) -> BitSets:
        """Return the bit sets of an experiment's rows on one network."""
        default = experiment.bitsets or self.networks[network].bitsets
        return experiment.network_bitsets.get(network, default)

    @cached_property
    def runs(self) -> dict[str, RunSpec]:
        """Every distinct run by id, full-precision starts first."""
        wanted = [cell.run for cell in self.cells if cell.skipped is None]
        starts = [run.start for run in wanted if run.start]
        return {run.run_id: run for run in (*starts, *wanted)}

    @property
    def datasets(self) -> dict[str, Choice]:
        """Every distinct dataset by identifier."""
        return {run.dataset.identifier: run.dataset for run in self.runs.values()}


def _build(
    where: str, network: NetworkSpec, arm: ArmSpec, bitset: BitSet, seed: int, data: str
) -> RunSpec:
    """Return the resolved run of one cell."""
    common = {"model": network.model, "dataset": network.dataset, "seed": seed}
    start = network.float_training and {
        "method": "float32",
        "bitset": (FLOAT_BITS,),
        "training": network.float_training.model_dump(),
        **common,
    }
    if start and bitset == (FLOAT_BITS,):
        fields = start
    else:
        fields = {**_recipe(network, arm, data), "bitset": bitset, "start": start, **common}
    with explained(where):
        return RunSpec.model_validate(fields).resolved()


SUITE_SIZED = ("epochs", "batch_size", "warmup_epochs")
"""What a published recipe does not bring into suites on embedded data."""


def _recipe(network: NetworkSpec, arm: ArmSpec, data: str) -> dict[str, Any]:
    """Return method and training of one arm: the network's recipe, the preset's, the arm's."""
    training, options = network.training.model_dump(), dict(arm.method.options)
    published = _published_recipe(network, arm)
    if published is not None:
        options = published["options"] | options
        training |= {
            key: value
            for key, value in published["training"].items()
            if data == "published" or key not in SUITE_SIZED
        }
    training["epochs"] = ceil(training["epochs"] * arm.epochs_factor - 1e-9)
    training["learning_rate"] *= arm.learning_rate_factor
    return {
        "method": Choice(name=arm.method.name, options=options),
        "training": merge(training, arm.training),
    }


def _published_recipe(network: NetworkSpec, arm: ArmSpec) -> dict[str, Any] | None:
    """Return the recipe that the preset of ``arm`` takes from the method, if any."""
    if arm.preset == "equal":
        return None
    return plugins.recipe(arm.method.name, network.recipe or network.dataset.name)


def _without_recipe(network: NetworkSpec, arm: ArmSpec) -> str | None:
    """Return why ``arm`` cannot follow its publication on ``network``, or None."""
    if arm.preset == "equal" or _published_recipe(network, arm) is not None:
        return None
    return f"no recipe is published for {network.recipe or network.dataset.name}"


def suite_path(name: str, folder: Path = Path("config/suites")) -> Path:
    """Return the file of a suite: ``name`` in ``folder``, or a path that ends in ``.yaml``."""
    return Path(name) if name.endswith((".yaml", ".yml")) else folder / f"{name}.yaml"


def load_suite(path: Path, experiments: Path | None = None) -> Suite:
    """Return the suite in ``path``.

    A suite's ``experiments`` are laid over the shared definitions of the same name in
    ``experiments.yaml``, which lies in the parent folder; else those in ``config`` of the working
    directory serve, so that a suite file may lie anywhere.

    Raises:
        SpecError: a file that cannot be read, an unknown key or an impossible combination.
        UnknownPluginError: a plugin that is not installed.
    """
    content = read_yaml(path)
    places = [path.parent.parent / "experiments.yaml", Path("config/experiments.yaml")]
    found = [experiments] if experiments else [place for place in places if place.exists()]
    shared = read_yaml(found[0]) if found else {}
    if not isinstance(content, dict):
        raise SpecError(f"{path} must hold a mapping, not {type(content).__name__}")
    chosen = content.get("experiments") or {}
    if isinstance(chosen, dict):
        content["experiments"] = {
            name: _experiment(path, name, changes or {}, shared) for name, changes in chosen.items()
        }
    with explained(str(path)):
        suite = Suite.model_validate(content)
        _ = suite.runs
    return suite


def _experiment(path: Path, name: str, changes: Any, shared: dict[str, Any]) -> dict[str, Any]:
    """Return the experiment ``name`` of a suite: its own keys over the shared ones."""
    if name not in shared and "arms" not in changes:
        raise SpecError(
            f"{path}: no shared experiment '{name}'.{hint(name, shared)}\n"
            f"  known: {', '.join(shared) or 'none'}; one of your own needs title and arms"
        )
    return merge(shared.get(name, {}), changes)
