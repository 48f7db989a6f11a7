"""From an arm on a network to run specs: whatever one place in a table needs."""

from collections.abc import Iterator
from math import ceil
from typing import Any, NamedTuple

from bitswitch import plugins
from bitswitch.arms import ArmSpec, NetworkSpec, ScoreSpec, SearchArmSpec, StartSpec
from bitswitch.errors import SpecError
from bitswitch.reading import explained, merge
from bitswitch.search_spec import SearchSpec
from bitswitch.spec import Choice, RunSpec, SensitivitySpec
from bitswitch.types import FLOAT_BITS, BitSet


class Place(NamedTuple):
    """Where in a suite a run stands."""

    where: str
    """For error messages."""
    network: NetworkSpec
    arm: ArmSpec
    bitset: BitSet
    seed: int
    data: str


def run_of(place: Place) -> RunSpec:
    """Return the resolved run of one cell."""
    where, network, arm, bitset, seed, data = place
    common = {"model": network.model, "dataset": network.dataset, "seed": seed}
    start: Any = network.float_training and {
        "method": "float32",
        "bitset": (FLOAT_BITS,),
        "training": network.float_training.model_dump(),
        **common,
    }
    fields = start
    if not start or bitset != (FLOAT_BITS,):
        first = run_of(place._replace(arm=_start_arm(arm.start))) if arm.start else start
        kept = {} if bitset == (FLOAT_BITS,) else {"keep": network.keep}
        fields = {**_recipe(network, arm, data), "bitset": bitset, "start": first, **kept, **common}
        if arm.guide:
            fields["sensitivity"] = next(_sensitivities(place, arm.guide, first))
    with explained(where):
        return RunSpec.model_validate(fields).resolved()


def refusal_of(place: Place, run: RunSpec) -> str | None:
    """Return why ``run`` is not run, or None."""
    return _without_recipe(place.network, place.arm) or plugins.refusal(run)


def scores_of(place: Place, run: RunSpec) -> tuple[SensitivitySpec, ...]:
    """Return what scores the layers of ``run``, the run of ``place``."""
    return tuple(
        one
        for spec in place.arm.scores
        for one in _sensitivities(place, spec, run.start if spec.of == "start" else run)
    )


def searches_of(place: Place, run: RunSpec) -> list[SearchSpec | None]:
    """Return what searches the layers of ``run``, once per seed; [None] where nothing does."""
    arm = place.arm
    if arm.search is None:
        return [None]
    facts = _facts(place, arm.search)
    seeds = arm.search.seeds if facts["stochastic"] else arm.search.seeds[:1]
    return [_search(place, arm.search, run, seed) for seed in seeds]


def is_deployed(place: Place, run: RunSpec) -> bool:
    """Return whether the network of ``run``, the run of ``place``, is exported as integers.

    Raises:
        SpecError: its method needs float weights, or changes the network.
    """
    if not place.arm.deploy:
        return False
    if plugins.is_deployable(run):
        return True
    if plugins.changes_network(run):
        reason = "it changes the network itself, which no file can describe"
    else:
        reason = "with its options it needs float32 weights to run at every bit-width"
    raise SpecError(
        f"{place.where}: method '{run.method.name}' cannot be deployed: {reason}.\n"
        f"  Leave out deploy, or name another method."
    )


def _start_arm(start: StartSpec) -> ArmSpec:
    return ArmSpec(title="start", method=start.method, training=start.training)


def _sensitivities(place: Place, spec: ScoreSpec, run: Any) -> Iterator[SensitivitySpec]:
    """Yield what scores the network that ``spec`` names, at every epoch that it names.

    Args:
        place: Of the cell.
        spec: What scores which network.
        run: The trained run, or the one to start from; unused if ``spec`` names another.
    """
    epoch: int | None = None
    if isinstance(spec.of, StartSpec):
        run = run_of(place._replace(arm=_start_arm(spec.of)))
    if spec.of == "float":
        # Of the recipe, nothing but what quantizes matters: one result serves all arms.
        start = place.arm.start or StartSpec()
        run = run_of(place._replace(arm=_start_arm(start.model_copy(update={"training": {}}))))
        epoch = 0
    for chosen in (*spec.epochs, epoch):
        with explained(place.where):
            yield SensitivitySpec(
                sensitivity=spec.sensitivity,
                run=run,
                epoch=chosen,
                bitset=place.bitset,
                images=spec.images,
                seed=place.seed,
            ).resolved()


def _facts(place: Place, spec: SearchArmSpec) -> dict[str, bool]:
    """Return what the search of a cell needs."""
    with explained(place.where):
        return plugins.search_facts(spec.search.name, spec.search.options)


def _search(place: Place, spec: SearchArmSpec, run: RunSpec, seed: int) -> SearchSpec:
    """Return the resolved search of a cell.

    Raises:
        SpecError: a search that lacks scores or evaluations, or a value out of range.
    """
    facts = _facts(place, spec)
    if facts["scored"] and spec.scores is None:
        raise SpecError(
            f"{place.where}: search '{spec.search.name}' reads scores. Name a sensitivity: "
            f"search: {{search: {spec.search.name}, scores: {{sensitivity: hessian-trace}}}}"
        )
    if facts["evaluates"] and not spec.evaluations:
        raise SpecError(
            f"{place.where}: search '{spec.search.name}' evaluates policies on held-out images. "
            f"Say how many: search.evaluations"
        )
    for budget in spec.budgets:
        if problem := plugins.objection(spec.search, budget.cost):
            raise SpecError(f"{place.where}: search '{spec.search.name}': {problem}")
    sensitivity, training = None, None
    if spec.scores is not None and facts["scored"]:
        scored = run.start if spec.scores.of == "start" else run
        *_, sensitivity = _sensitivities(place, spec.scores, scored)
    if spec.retraining is not None:
        training = merge(place.network.training.model_dump(), spec.retraining)
    fields = spec.model_dump(exclude={"scores", "seeds", "retraining"})
    with explained(place.where):
        return SearchSpec(
            **fields, run=run, sensitivity=sensitivity, retraining=training, seed=seed
        ).resolved()


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
