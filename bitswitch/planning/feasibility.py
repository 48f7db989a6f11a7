"""What can be known of a suite before any job starts, beyond what its file says alone.

Networks are built without weights and see one image that is none; files that are named are there,
or belong to optional networks. No data is needed.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from bitswitch.errors import BitswitchError, BitWidthError, PluginError, SpecError
from bitswitch.planning.networks import check_layers, network_size, switchable_layers
from bitswitch.plugins import facts, registry
from bitswitch.plugins.guard import plugin_errors
from bitswitch.report.claims import resolution
from bitswitch.report.tables import tables
from bitswitch.spec.run import RunSpec
from bitswitch.spec.search import SearchSpec
from bitswitch.spec.training import TrainingSpec
from bitswitch.suite.suite import Suite

MANY_LAYERS = 10_000
"""More than a network has."""


def check(suite: Suite) -> None:
    """Raise unless every job of ``suite`` can begin.

    Raises:
        SpecError: a file that is not there, a batch that is larger than the training split, scales
            that a layer cannot have, a search that may evaluate fewer policies than it cannot do
            without, or a claim about cells that cannot exist.
        PluginError: a network that cannot be built, or does not take the inputs of its dataset.
        ReportError: an experiment that lacks what its table shows.
        BitWidthError: a layer to keep that the network does not have, or that cannot be quantized.
    """
    tables.check(suite)
    resolution.check(suite)
    problems = (_batches, _weights, _soft_targets, _latencies)
    _refuse(suite, [problem for find in problems for problem in find(suite)])
    for cell in suite.first_cells:
        try:
            network_size(cell.run)
            check_layers(cell.run)
        except (PluginError, BitWidthError, SpecError) as error:
            raise type(error)(f"networks.{cell.network}: {error}") from error
    _refuse(suite, _evaluations(suite))


def absent(suite: Suite) -> dict[str, str]:
    """Return what the workflow leaves out of ``suite``, as sentences by optional network."""
    runs = {c.network: c.run for c in suite.first_cells if suite.networks[c.network].optional}
    found = {name: facts.missing_files(run) for name, run in runs.items()}
    return {
        name: f"{suite.networks[name].title} is left out of suite '{suite.name}' until there is "
        f"something at {', '.join(missing)}."
        for name, missing in found.items()
        if missing
    }


def present(suite: Suite) -> Suite:
    """Return ``suite`` without its optional networks whose files are not there.

    Raises:
        SpecError: nothing is left.
    """
    left_out = absent(suite)
    if not left_out:
        return suite
    experiments = {}
    for name, experiment in suite.experiments.items():
        networks = tuple(one for one in experiment.networks if one not in left_out)
        if networks:
            experiments[name] = experiment.model_copy(update={"networks": networks})
    if not experiments:
        raise SpecError("\n".join(["No run is left.", *left_out.values()]))
    fields = {name: getattr(suite, name) for name in Suite.model_fields}
    return Suite.model_construct(**fields | {"experiments": experiments})


def _refuse(suite: Suite, problems: Iterable[str]) -> None:
    found = list(dict.fromkeys(problems))
    if found:
        raise SpecError(f"Suite '{suite.name}' cannot be run:\n  " + "\n  ".join(found))


def _runs(suite: Suite) -> Iterable[RunSpec]:
    """Return the distinct runs of the first seeds."""
    return {run.run_id: run for cell in suite.first_cells for run in cell.runs}.values()


def _searches(suite: Suite) -> list[SearchSpec]:
    """Return the searches of the first seeds."""
    return [cell.search for cell in suite.first_cells if cell.search]


def _batches(suite: Suite) -> Iterator[str]:
    """Yield what is wrong with sizes of batches."""
    for run in _runs(suite):
        yield from _batch(run, run.training, "training")
    for search in _searches(suite):
        if search.retraining is not None:
            yield from _batch(search.run, search.retraining, "retraining")


def _batch(run: RunSpec, training: TrainingSpec, place: str) -> Iterator[str]:
    examples = facts.dataset_facts(run.dataset.name, run.dataset.options)["sizes"]["train"]
    if training.batch_size > examples:
        yield (
            f"{place}.batch_size {training.batch_size} is larger than the {examples} training "
            f"examples of '{run.dataset.name}'. Use {examples} or less."
        )


def _weights(suite: Suite) -> Iterator[str]:
    """Yield which files of weights are not there, or of another network.

    Optional networks may lack theirs.
    """
    for cell in suite.first_cells:
        run, optional = cell.run, suite.networks[cell.network].optional
        weights = run.model.options.get("weights", "none")
        if weights in facts.WITHOUT_FILE:
            continue
        if not Path(weights).exists():
            if not optional:
                yield (
                    f"There are no weights at {weights}, of model '{run.model.name}': "
                    f"{_remedy(suite)}."
                )
            continue
        try:
            _check_weights(run)
        except BitswitchError as error:
            yield str(error)


def _remedy(suite: Suite) -> str:
    """Return what to do about weights that are not there."""
    if suite.data == "made-up":
        return f"make them up with 'bitswitch data fake --suite {suite.name}'"
    return "'weights' is 'none', 'imagenet' or the path of a file"


def _check_weights(run: RunSpec) -> None:
    """Let the model of ``run`` look at its weights."""
    outputs = facts.dataset_facts(run.dataset.name, run.dataset.options)["outputs"]
    model = registry.create("models", run.model.name, run.model.options)
    with plugin_errors(f"model '{run.model.name}'", "check()"):
        model.check(outputs)


def _soft_targets(suite: Suite) -> Iterator[str]:
    """Yield which runs would keep a prediction for more rows than there is room for."""
    for run in _runs(suite):
        problem = facts.too_many_rows(run)
        if problem is not None:
            yield problem


def _latencies(suite: Suite) -> Iterator[str]:
    """Yield what is wrong with tables of latencies."""
    for search in _searches(suite):
        if search.latency_table is not None:
            from bitswitch.costs import read_latencies

            try:
                read_latencies(search.latency_table)
            except BitswitchError as error:
                yield str(error)


def _evaluations(suite: Suite) -> Iterator[str]:
    """Yield which searches have too few evaluations; layers are counted only if they may decide."""
    for cell in suite.first_cells:
        spec = cell.search
        if spec is None or spec.evaluations >= facts.least_evaluations(spec.search, MANY_LAYERS):
            continue
        layers = switchable_layers(spec.run)
        least = facts.least_evaluations(spec.search, layers)
        if spec.evaluations < least:
            yield (
                f"experiments.{cell.experiment}.variants.{cell.variant} on {cell.network}: search "
                f"'{spec.search.name}' needs at least {least} evaluations on held-out examples for "
                f"the {layers} layers of model '{spec.run.model.name}'; search.evaluations is "
                f"{spec.evaluations}. Raise it for all variants that are compared, or take a "
                f"search that reads scores."
            )
