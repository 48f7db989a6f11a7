"""What plugins say of themselves; remembered, so that a suite expands without importing them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bitswitch.contracts.card import Card, ExamplePasses, Storage, Workload
from bitswitch.contracts.metric import LOSS
from bitswitch.errors import PluginError
from bitswitch.plugins.registry import code_of, create, load
from bitswitch.runtime.cache import digest, remembered
from bitswitch.spec.run import Choice, RunSpec
from bitswitch.types import BitSet

if TYPE_CHECKING:
    from bitswitch.contracts.data import Dataset


WITHOUT_FILE = ("none", "imagenet")
"""Values of a model's option ``weights`` that are no path."""


def refusal(spec: RunSpec) -> str | None:
    """Return why the method of ``spec`` cannot run it, or None; remembered like options.

    Raises:
        PluginError: the method's ``skip`` fails.
    """
    method = spec.method
    key = digest("skip", spec.model_dump(mode="json"), code_of("methods", method.name))
    reason: str | None = remembered("plugins", key, lambda: _refusal(spec))
    return reason


def _refusal(spec: RunSpec) -> str | None:
    """Return what ``refusal`` does, from the plugin itself."""
    method = create("methods", spec.method.name, spec.method.options, spec.bitset)
    try:
        reason = method.skip(spec)
    except Exception as error:
        raise PluginError(
            f"skip() of method '{spec.method.name}' fails: {type(error).__name__}: {error}"
        ) from error
    if reason is None and method.needs_whole_batch and spec.training.accumulate > 1:
        return "it looks at whole batches: training.accumulate must be 1"
    return None if reason is None else str(reason)


def card(name: str) -> dict[str, Any]:
    """Return what a reader must know of method ``name``: its card, source and recipes; remembered.

    Raises:
        UnknownPluginError: no installed package provides the name.
        PluginError: it cannot be imported, or has no card.
    """
    key = digest("card", name, code_of("methods", name))
    facts: dict[str, Any] = remembered("plugins", key, lambda: _card(name))
    return facts


def _card(name: str) -> dict[str, Any]:
    """Return what ``card`` does, from the plugin itself."""
    method: Any = load("methods", name)
    if not isinstance(getattr(method, "card", None), Card):
        raise PluginError(
            f"Method '{name}' has no card: give its class one, card = Card(title=..., ...);\n"
            f"  see bitswitch.contracts.card.Card for what it says"
        )
    recipes = {dataset: recipe._asdict() for dataset, recipe in method.published_recipes.items()}
    return {**method.card._asdict(), "source": method.source, "published_recipes": recipes}


def first_last_bits(spec: RunSpec) -> int | None:
    """Return the bit-width of first and last layer in ``spec``, None for float; remembered."""
    bits: int | None = _of_method(spec, "first_last_bits")
    return bits


def storage(spec: RunSpec) -> Storage:
    """Return what has to be kept of ``spec`` to run at every bit-width; remembered."""
    kept: Storage = _of_method(spec, "storage")
    return kept


def sliced(spec: RunSpec) -> BitSet:
    """Return the bit-widths of ``spec`` that no step trains; remembered."""
    return tuple(_of_method(spec, "sliced"))


def changes_network(spec: RunSpec) -> bool:
    """Return whether the method of ``spec`` changes the network that it quantizes; remembered."""
    changed: bool = _of_method(spec, "changes_network")
    return changed


def is_deployable(spec: RunSpec) -> bool:
    """Return whether the network of ``spec`` can be exported as integers; remembered."""
    return storage(spec) == "codes" and not changes_network(spec) and gives_logits(spec)


def gives_logits(spec: RunSpec) -> bool:
    """Return whether the network of ``spec`` makes logits of images or tokens; remembered."""
    found = dataset_facts(spec.dataset.name, spec.dataset.options)
    return found["rows"] is not None and found["type"] in ("torch.float32", "torch.int64")


def learns_scales(spec: RunSpec) -> bool:
    """Return whether training ``spec`` changes scales of quantizers; remembered."""
    learned: bool = not spec.is_float and _of_method(spec, "learns_scales")
    return learned


def trains(spec: RunSpec) -> bool:
    """Return whether the method of ``spec`` takes training steps; remembered."""
    steps: bool = _of_method(spec, "trains")
    return steps


def needs_whole_batch(spec: RunSpec) -> bool:
    """Return whether the method of ``spec`` refuses to share a batch; remembered."""
    needed: bool = _of_method(spec, "needs_whole_batch")
    return needed


def finish_work(spec: RunSpec, extent: Workload) -> ExamplePasses:
    """Return what the method of ``spec`` does after training; remembered."""
    return _work("methods", spec.method, (spec.bitset,), "finish_work", extent)


def search_work(choice: Choice, extent: Workload, evaluations: int) -> ExamplePasses:
    """Return what a search trains within one budget; remembered."""
    return _work("searches", choice, (), "work", extent, evaluations)


def scoring_work(choice: Choice, examples: int, outputs: int) -> ExamplePasses:
    """Return what a sensitivity does; remembered."""
    return _work("sensitivities", choice, (), "work", examples, outputs)


def _work(
    group: str, choice: Choice, context: tuple[Any, ...], method: str, *arguments: Any
) -> ExamplePasses:
    key = digest(method, choice.model_dump(), context, arguments, code_of(group, choice.name))

    def read() -> tuple[float, float]:
        work: tuple[float, float] = getattr(
            create(group, choice.name, choice.options, *context), method
        )(*arguments)
        return work

    return ExamplePasses(*remembered("plugins", key, read))


def _of_method(spec: RunSpec, attribute: str) -> Any:
    """Return an attribute of the method of ``spec`` with its options and bit set; remembered."""
    name, options = spec.method.name, spec.method.options
    key = digest(attribute, name, options, spec.bitset, code_of("methods", name))

    def read() -> Any:
        return getattr(create("methods", name, options, spec.bitset), attribute)

    return remembered("plugins", key, read)


def is_guided(name: str) -> bool:
    """Return whether method ``name`` wants to know how sensitive layers are.

    Raises:
        UnknownPluginError: no installed package provides the method.
    """
    from bitswitch.contracts.method import Method

    method: Any = load("methods", name)
    return method.set_sensitivity is not Method.set_sensitivity


def recipe(name: str, dataset: str) -> dict[str, Any] | None:
    """Return ``training`` and ``options`` of method ``name`` as published for ``dataset``, or None.

    Raises:
        UnknownPluginError: no installed package provides the method.
    """
    found: dict[str, Any] | None = card(name)["published_recipes"].get(dataset)
    return found


def dataset_facts(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return what can be said of a dataset without its data; remembered.

    These are ``stamp``, ``outputs``, ``sizes``, and ``shape`` and ``type`` of an input; of its task
    ``metrics``, the headline first, ``measure``, ``note``, ``example``, ``beside``, ``chance``,
    and ``chance_bound`` on the test split; and how many ``rows`` of logits an example has, None
    where outputs are none.

    Raises:
        UnknownPluginError: no installed package provides the name.
        PluginError: it does not describe itself, or its task has no metric ``loss``.
    """
    key = digest("dataset and its task", name, options, _states(options), code_of("datasets", name))
    facts: dict[str, Any] = remembered("plugins", key, lambda: _dataset_facts(name, options))
    return facts


def missing_files(spec: RunSpec) -> list[str]:
    """Return the paths that model and dataset of ``spec`` name, and where nothing is."""
    weights, dataset = str(spec.model.options.get("weights", "none")), spec.dataset
    unseen = [] if weights in WITHOUT_FILE or Path(weights).exists() else [weights]
    key = digest("missing", dataset.name, dataset.options, _states(dataset.options))

    def read() -> list[str]:
        return list(create("datasets", dataset.name, dataset.options).missing())

    state = digest(key, code_of("datasets", dataset.name))
    found: list[str] = remembered("plugins", state, read)
    return [*unseen, *found]


def too_many_rows(spec: RunSpec) -> str | None:
    """Return why ``spec`` cannot keep a prediction for every row of logits, or None; remembered."""
    rows = dataset_facts(spec.dataset.name, spec.dataset.options)["rows"]
    if spec.training.distillation != "ps-kd" or rows in (1, None):
        return None
    return (
        f"training.distillation 'ps-kd' keeps a row of probabilities for every token of dataset "
        f"'{spec.dataset.name}', tokens x vocabulary: take 'neighbour', or none."
    )


def _states(options: Any) -> list[tuple[int, int]]:
    """Return size and time of all files that options name, in whose content facts may lie."""
    if isinstance(options, dict | list | tuple):
        values = options.values() if isinstance(options, dict) else options
        return [state for value in values for state in _states(value)]
    path = Path(options) if isinstance(options, str) and options else None
    if path is None or not path.is_file():
        return []
    about = path.stat()
    return [(about.st_size, about.st_mtime_ns)]


def _dataset_facts(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return what ``dataset_facts`` does, from the plugin itself."""
    from bitswitch.plugins.guard import plugin_errors

    dataset = create("datasets", name, options)
    with plugin_errors(f"dataset '{name}'", "the description"):
        found = _described(dataset)
    names = [metric["name"] for metric in found["metrics"]]
    if LOSS not in names:
        raise PluginError(
            f"The task of dataset '{name}' has the metrics {', '.join(names) or 'none'}: add one "
            f"called '{LOSS}', the mean loss, by which divergence shows."
        )
    if unknown := [name for name in found["beside"] if name not in names]:
        raise PluginError(
            f"The task of dataset '{name}' shows '{unknown[0]}' beside its headline, which is none "
            f"of its metrics {', '.join(names)}: 'beside' takes their names."
        )
    return found


def _described(dataset: "Dataset") -> dict[str, Any]:
    """Return what a dataset says of itself."""
    from bitswitch.contracts.task import Rows
    from bitswitch.runtime.randomness import generator

    task, outputs, sizes = dataset.task, dataset.outputs, dataset.sizes()
    example = dataset.example(1, generator("facts"))
    inputs = example.inputs
    return {
        "stamp": dataset.stamp,
        "outputs": outputs,
        "sizes": sizes,
        "shape": list(inputs.shape[1:]),
        "type": str(inputs.dtype),
        "metrics": [metric._asdict() for metric in task.metrics],
        "measure": task.measure,
        "note": task.note,
        "example": task.example,
        "beside": list(task.beside),
        "rows": task.labels(example.targets).numel() if isinstance(task, Rows) else None,
        "chance": task.chance(outputs),
        "chance_bound": None if dataset.is_noise else task.chance_bound(outputs, sizes["test"]),
    }


def search_facts(name: str, options: dict[str, Any]) -> dict[str, bool]:
    """Return ``scored``, ``evaluates``, ``stochastic`` of a search; remembered.

    Raises:
        UnknownPluginError: no installed package provides the name.
        SpecError: an option that it does not have, or a value out of range.
    """

    def read() -> dict[str, bool]:
        search = create("searches", name, options)
        return {key: getattr(search, key) for key in ("scored", "evaluates", "stochastic")}

    key = digest("search", name, options, code_of("searches", name))
    facts: dict[str, bool] = remembered("plugins", key, read)
    return facts


def least_evaluations(choice: Choice, layers: int) -> int:
    """Return how many evaluations a search cannot do without on so many layers; remembered."""
    key = digest("least", choice.model_dump(), layers, code_of("searches", choice.name))

    def read() -> int:
        search = create("searches", choice.name, choice.options)
        return int(search.least_evaluations(layers))

    least: int = remembered("plugins", key, read)
    return least


def objection(choice: Choice, cost: str) -> str | None:
    """Return why a search cannot do with a budget on ``cost``, or None; remembered."""
    key = digest("objection", choice.model_dump(), cost, code_of("searches", choice.name))

    def read() -> str | None:
        reason: str | None = create("searches", choice.name, choice.options).objection(cost)
        return reason

    found: str | None = remembered("plugins", key, read)
    return found
