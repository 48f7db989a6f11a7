"""From a variant on a network to run specs: whatever one place in a table needs."""

from collections.abc import Iterator
from math import ceil
from typing import Any, NamedTuple

from bitswitch.errors import SpecError
from bitswitch.plugins import facts
from bitswitch.spec.run import Choice, RunSpec, SensitivitySpec
from bitswitch.spec.search import SearchSpec
from bitswitch.spec.training import TrainingSpec
from bitswitch.spec.yaml_files import explained, merge
from bitswitch.suite.limits import Limits, capped, complete
from bitswitch.suite.variants import (
    NetworkSpec,
    ScoreSpec,
    SearchVariantSpec,
    StartSpec,
    VariantSpec,
)
from bitswitch.types import FLOAT_BITS, BitSet


class Place(NamedTuple):
    """Where in a suite a run stands."""

    where: str
    """For error messages."""
    network: NetworkSpec
    variant: VariantSpec
    bitset: BitSet
    seed: int
    data: str
    limits: Limits


def run_of(place: Place) -> RunSpec:
    """Return the resolved run of one cell."""
    where, network, variant, bitset, seed, data, limits = place
    common = {"model": network.model, "dataset": network.dataset, "seed": seed}
    start: Any = network.float_training and {
        "method": "float32",
        "bitset": (FLOAT_BITS,),
        "training": network.float_training.model_dump(),
        **common,
    }
    fields = start
    if not start or bitset != (FLOAT_BITS,):
        first = run_of(_starting(place, variant.start)) if variant.start else start
        kept = {} if bitset == (FLOAT_BITS,) else _kept(network, variant)
        fields = {
            **_recipe(network, variant, data),
            "bitset": bitset,
            "start": first,
            **kept,
            **common,
        }
        if variant.guide:
            fields["sensitivity"] = next(_sensitivities(place, variant.guide, first))
    with explained(where):
        return complete(RunSpec.model_validate(fields), limits)


def _kept(network: NetworkSpec, variant: VariantSpec) -> dict[str, Any]:
    """Return what stays at full precision in a run at several bit-widths."""
    chosen = variant.float_inputs
    inputs = network.float_inputs if chosen is None else chosen
    return {"keep": network.keep, "float_inputs": inputs}


def refusal_of(place: Place, run: RunSpec) -> str | None:
    """Return why ``run`` is not run, or None."""
    return _without_recipe(place.network, place.variant) or facts.refusal(run)


def scores_of(place: Place, run: RunSpec) -> tuple[SensitivitySpec, ...]:
    """Return what scores the layers of ``run``, the run of ``place``."""
    return tuple(
        one
        for spec in place.variant.scores
        for one in _sensitivities(place, spec, run.start if spec.of == "start" else run)
    )


def searches_of(place: Place, run: RunSpec) -> list[SearchSpec | None]:
    """Return what searches the layers of ``run``, once per seed; [None] where nothing does."""
    variant = place.variant
    if variant.search is None:
        return [None]
    about = _facts(place, variant.search)
    seeds = variant.search.seeds if about["stochastic"] else variant.search.seeds[:1]
    found = [_search(place, variant.search, run, seed) for seed in seeds]
    return list({one.identifier: one for one in found}.values())  # limits may make seeds the same


def is_deployed(place: Place, run: RunSpec) -> bool:
    """Return whether the network of ``run``, the run of ``place``, is exported as integers.

    Raises:
        SpecError: its method needs float weights, or changes the network; or its task is another
            one than logits.
    """
    if not place.variant.deploy:
        return False
    if facts.is_deployable(run):
        return True
    if not facts.gives_logits(run):
        raise SpecError(
            f"{place.where}: dataset '{run.dataset.name}' cannot be deployed: files describe "
            f"networks that make rows of logits, and its task has none.\n  Leave out deploy."
        )
    if facts.changes_network(run):
        reason = "it changes the network itself, which no file can describe"
    else:
        reason = "with its options it needs float32 weights to run at every bit-width"
    raise SpecError(
        f"{place.where}: method '{run.method.name}' cannot be deployed: {reason}.\n"
        f"  Leave out deploy, or name another method."
    )


def _starting(place: Place, start: StartSpec) -> Place:
    """Return ``place`` with the variant whose network another one starts from."""
    variant = VariantSpec(
        title="start",
        method=start.method,
        training=start.training,
        float_inputs=place.variant.float_inputs,
    )
    return place._replace(variant=variant)


def _sensitivities(place: Place, spec: ScoreSpec, run: Any) -> Iterator[SensitivitySpec]:
    """Yield what scores the network that ``spec`` names, at every epoch that it names.

    Args:
        place: Of the cell.
        spec: What scores which network.
        run: The trained run, or the one to start from; unused if ``spec`` names another.
    """
    epoch: int | None = None
    if isinstance(spec.of, StartSpec):
        run = run_of(_starting(place, spec.of))
    if spec.of == "float":
        # Of the recipe, nothing but what quantizes matters: one result serves all variants.
        start = place.variant.start or StartSpec()
        run = run_of(_starting(place, start.model_copy(update={"training": {}})))
        epoch = 0
    for chosen in (*spec.epochs, epoch):
        with explained(place.where):
            fields = {
                "sensitivity": spec.sensitivity,
                "run": run,
                **capped({"epoch": chosen}, place.limits),
                "bitset": place.bitset,
                "examples": spec.examples,
                "seed": place.seed,
            }
            yield complete(SensitivitySpec.model_validate(fields), place.limits)


def _facts(place: Place, spec: SearchVariantSpec) -> dict[str, bool]:
    """Return what the search of a cell needs."""
    with explained(place.where):
        return facts.search_facts(spec.search.name, spec.search.options)


def _search(place: Place, spec: SearchVariantSpec, run: RunSpec, seed: int) -> SearchSpec:
    """Return the resolved search of a cell.

    Raises:
        SpecError: a search that lacks scores or evaluations, or a value out of range.
    """
    about = _facts(place, spec)
    if about["scored"] and spec.scores is None:
        raise SpecError(
            f"{place.where}: search '{spec.search.name}' reads scores. Name a sensitivity: "
            f"search: {{search: {spec.search.name}, scores: {{sensitivity: hessian-trace}}}}"
        )
    if about["evaluates"] and not spec.evaluations:
        raise SpecError(
            f"{place.where}: search '{spec.search.name}' evaluates policies on held-out examples. "
            f"Say how many: search.evaluations"
        )
    for budget in spec.budgets:
        if problem := facts.objection(spec.search, budget.cost):
            raise SpecError(f"{place.where}: search '{spec.search.name}': {problem}")
    sensitivity, training = None, None
    if spec.scores is not None and about["scored"]:
        scored = run.start if spec.scores.of == "start" else run
        *_, sensitivity = _sensitivities(place, spec.scores, scored)
    if spec.retraining is not None:
        training = merge(place.network.training.model_dump(), spec.retraining)
    fields = {
        **spec.model_dump(exclude={"scores", "seeds", "retraining"}),
        "run": run,
        "sensitivity": sensitivity,
        "retraining": training,
        "seed": seed,
    }
    with explained(place.where):
        return complete(SearchSpec.model_validate(fields), place.limits)


SUITE_SIZED = ("epochs", "batch_size", "warmup_epochs")
"""What a published recipe does not bring into suites on embedded data."""
OF_BIT_WIDTHS = ("update", "alrs", "distillation")
"""How bit-widths are trained together: a published recipe that says nothing of it means none of
the network's."""


def _recipe(network: NetworkSpec, variant: VariantSpec, data: str) -> dict[str, Any]:
    """Return method and training of one variant: of the network, the preset, the variant."""
    training, options = network.training.model_dump(), dict(variant.method.options)
    published = _published_recipe(network, variant)
    if published is not None:
        options = published["options"] | options
        training |= {key: TrainingSpec.model_fields[key].default for key in OF_BIT_WIDTHS}
        training |= {
            key: value
            for key, value in published["training"].items()
            if data != "embedded" or key not in SUITE_SIZED
        }
    training["epochs"] = ceil(training["epochs"] * variant.epochs_factor - 1e-9)
    training["learning_rate"] *= variant.learning_rate_factor
    return {
        "method": Choice(name=variant.method.name, options=options),
        "training": merge(training, variant.training),
    }


def _published_recipe(network: NetworkSpec, variant: VariantSpec) -> dict[str, Any] | None:
    """Return the recipe that the preset of ``variant`` takes from the method, if any."""
    if variant.preset == "equal":
        return None
    return facts.recipe(variant.method.name, network.recipe or network.dataset.name)


def _without_recipe(network: NetworkSpec, variant: VariantSpec) -> str | None:
    """Return why ``variant`` cannot follow its publication on ``network``, or None."""
    if variant.preset == "equal" or _published_recipe(network, variant) is not None:
        return None
    return f"no recipe is published for {network.recipe or network.dataset.name}"
