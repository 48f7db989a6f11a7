"""Find and load plugins: entry points are the only mechanism, their names the only names."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from bitswitch.errors import PluginError, SpecError, UnknownPluginError, hint, shown
from bitswitch.store import code_state, digest, remembered
from bitswitch.work import Work

if TYPE_CHECKING:
    from bitswitch.cards import Storage
    from bitswitch.contracts import Plugin
    from bitswitch.spec import Choice, RunSpec
    from bitswitch.work import Extent

GROUPS = ("methods", "models", "datasets", "sensitivities", "searches")
"""Groups ``bitswitch.<group>`` that packages may extend."""


@cache
def _installed(group: str) -> dict[str, EntryPoint]:
    """Return entry points by name; a name that two packages claim is an error."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=f"bitswitch.{group}"):
        other = found.get(point.name)
        if other is not None and other.value != point.value:
            raise PluginError(
                f"Two packages claim the plugin '{point.name}' in group 'bitswitch.{group}': "
                f"{_owner(other)} and {_owner(point)}.\n  Rename one or uninstall one."
            )
        found[point.name] = point
    return found


def _owner(point: EntryPoint) -> str:
    """Return the distribution that ships ``point``."""
    return f"'{point.dist.name}'" if point.dist is not None else f"'{point.value}'"


def names(group: str) -> list[str]:
    """Return the sorted names installed in ``group``; nothing is imported."""
    return sorted(_installed(group))


def modules() -> set[str]:
    """Return the modules of all installed plugins; nothing is imported."""
    points = (entry_points(group=f"bitswitch.{group}") for group in GROUPS)
    return {point.module for group in points for point in group}


def load(group: str, name: str) -> "type[Plugin]":
    """Return the plugin class ``name`` of ``group``.

    Raises:
        UnknownPluginError: no installed package provides the name.
        PluginError: the plugin cannot be imported, or is no plugin.
    """
    points = _installed(group)
    if name not in points:
        raise UnknownPluginError(group, name, points)
    point = points[name]
    try:
        cls = point.load()
    except Exception as error:
        raise PluginError(
            f"Plugin '{name}' of {_owner(point)} cannot be imported: "
            f"{type(error).__name__}: {error}\n  entry point: {point.value}"
        ) from error
    from bitswitch.contracts import CONTRACTS

    if not (isinstance(cls, type) and issubclass(cls, CONTRACTS[group])):
        raise PluginError(
            f"Plugin '{name}' of {_owner(point)} is no {CONTRACTS[group].__name__}: "
            f"{point.value} must be a subclass of bitswitch.contracts.{CONTRACTS[group].__name__}."
        )
    return cls


def resolve(group: str, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return all options of a plugin, defaults filled in and values checked.

    The answer is remembered until the plugin's package changes, so that a suite expands without
    importing any plugin (and with it torch).

    Raises:
        UnknownPluginError: no installed package provides the name.
        SpecError: an option that the plugin does not have, or a value out of range.
    """
    key = digest("resolve", group, name, options, _code_of(group, name))
    resolved: dict[str, Any] = remembered("plugins", key, lambda: _resolve(group, name, options))
    return resolved


def _code_of(group: str, name: str) -> tuple[str, str, str]:
    """Return what identifies the code of a plugin and of its contract."""
    points = _installed(group)
    if name not in points:
        raise UnknownPluginError(group, name, points)
    value = points[name].value
    return value, code_state(value), code_state(__name__)


def _resolve(group: str, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return what ``resolve`` does, from the plugin class itself."""
    from pydantic import ValidationError

    known = load(group, name).Options
    try:
        return known(**options).model_dump(mode="json")
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            key = ".".join(map(str, problem["loc"]))
            near = hint(key, known.model_fields) if problem["type"] == "extra_forbidden" else ""
            text = problem["msg"].removeprefix("Value error, ").removesuffix(".")
            lines.append(f"  option '{shown(key)}': {text}.{near}")
        raise SpecError(
            f"Options of '{name}' (group 'bitswitch.{group}') cannot be used:\n"
            + "\n".join(lines)
            + f"\n  it has: {', '.join(known.model_fields) or 'no options'}"
        ) from error


def create(group: str, name: str, options: dict[str, Any], *context: Any) -> Any:
    """Return an instance of plugin ``name`` with ``options``; methods also take a bit set."""
    cls = load(group, name)
    return cls(cls.Options(**resolve(group, name, options)), *context)


def refusal(spec: "RunSpec") -> str | None:
    """Return why the method of ``spec`` cannot run it, or None; remembered like options.

    Raises:
        PluginError: the method's ``skip`` fails.
    """
    method = spec.method
    key = digest("skip", spec.model_dump(mode="json"), _code_of("methods", method.name))
    reason: str | None = remembered("plugins", key, lambda: _refusal(spec))
    return reason


def _refusal(spec: "RunSpec") -> str | None:
    """Return what ``refusal`` does, from the plugin itself."""
    method = create("methods", spec.method.name, spec.method.options, spec.bitset)
    try:
        reason = method.skip(spec)
    except Exception as error:
        raise PluginError(
            f"skip() of method '{spec.method.name}' fails: {type(error).__name__}: {error}"
        ) from error
    return None if reason is None else str(reason)


def card(name: str) -> dict[str, Any]:
    """Return what a reader must know of method ``name``: its card, source and recipes; remembered.

    Raises:
        UnknownPluginError: no installed package provides the name.
        PluginError: it cannot be imported, or has no card.
    """
    key = digest("card", name, _code_of("methods", name))
    facts: dict[str, Any] = remembered("plugins", key, lambda: _card(name))
    return facts


def _card(name: str) -> dict[str, Any]:
    """Return what ``card`` does, from the plugin itself."""
    from bitswitch.cards import Card

    method: Any = load("methods", name)
    if not isinstance(getattr(method, "card", None), Card):
        raise PluginError(
            f"Method '{name}' has no card: give its class one, card = Card(title=..., ...);\n"
            f"  see bitswitch.cards.Card for what it says"
        )
    recipes = {dataset: recipe._asdict() for dataset, recipe in method.faithful.items()}
    return {**method.card._asdict(), "source": method.source, "faithful": recipes}


def edge_bits(spec: "RunSpec") -> int | None:
    """Return the bit-width of first and last layer in ``spec``, None for float; remembered."""
    bits: int | None = _of_method(spec, "edge_bits")
    return bits


def storage(spec: "RunSpec") -> "Storage":
    """Return what has to be kept of ``spec`` to run at every bit-width; remembered."""
    kept: Storage = _of_method(spec, "storage")
    return kept


def changes_network(spec: "RunSpec") -> bool:
    """Return whether the method of ``spec`` changes the network that it quantizes; remembered."""
    changed: bool = _of_method(spec, "changes_network")
    return changed


def is_deployable(spec: "RunSpec") -> bool:
    """Return whether the network of ``spec`` can be exported as integers; remembered."""
    return storage(spec) == "codes" and not changes_network(spec)


def trains(spec: "RunSpec") -> bool:
    """Return whether the method of ``spec`` takes training steps; remembered."""
    steps: bool = _of_method(spec, "trains")
    return steps


def finish_work(spec: "RunSpec", extent: "Extent") -> Work:
    """Return what the method of ``spec`` does after training; remembered."""
    return _work("methods", spec.method, (spec.bitset,), "finish_work", extent)


def search_work(choice: "Choice", extent: "Extent", evaluations: int) -> Work:
    """Return what a search trains within one budget; remembered."""
    return _work("searches", choice, (), "work", extent, evaluations)


def scoring_work(choice: "Choice", images: int, classes: int) -> Work:
    """Return what a sensitivity does; remembered."""
    return _work("sensitivities", choice, (), "work", images, classes)


def _work(
    group: str, choice: "Choice", context: tuple[Any, ...], method: str, *arguments: Any
) -> Work:
    key = digest(method, choice.model_dump(), context, arguments, _code_of(group, choice.name))

    def read() -> tuple[float, float]:
        work: tuple[float, float] = getattr(
            create(group, choice.name, choice.options, *context), method
        )(*arguments)
        return work

    return Work(*remembered("plugins", key, read))


def _of_method(spec: "RunSpec", attribute: str) -> Any:
    """Return an attribute of the method of ``spec`` with its options and bit set; remembered."""
    name, options = spec.method.name, spec.method.options
    key = digest(attribute, name, options, spec.bitset, _code_of("methods", name))

    def read() -> Any:
        return getattr(create("methods", name, options, spec.bitset), attribute)

    return remembered("plugins", key, read)


def is_guided(name: str) -> bool:
    """Return whether method ``name`` wants to know how sensitive layers are.

    Raises:
        UnknownPluginError: no installed package provides the method.
    """
    from bitswitch.contracts import Method

    method: Any = load("methods", name)
    return method.guide is not Method.guide


def recipe(name: str, dataset: str) -> dict[str, Any] | None:
    """Return ``training`` and ``options`` of method ``name`` as published for ``dataset``, or None.

    Raises:
        UnknownPluginError: no installed package provides the method.
    """
    found: dict[str, Any] | None = card(name)["faithful"].get(dataset)
    return found


def dataset_facts(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return ``stamp``, ``classes``, ``sizes``, ``shape`` of a dataset; needs no data, remembered.

    Raises:
        UnknownPluginError: no installed package provides the name.
    """
    key = digest("dataset", name, options, _code_of("datasets", name))
    facts: dict[str, Any] = remembered("plugins", key, lambda: _dataset_facts(name, options))
    return facts


def search_facts(name: str, options: dict[str, Any]) -> dict[str, bool]:
    """Return ``scored``, ``evaluates``, ``stochastic`` of a search; remembered.

    Raises:
        UnknownPluginError: no installed package provides the name.
        SpecError: an option that it does not have, or a value out of range.
    """

    def read() -> dict[str, bool]:
        search = create("searches", name, options)
        return {key: getattr(search, key) for key in ("scored", "evaluates", "stochastic")}

    key = digest("search", name, options, _code_of("searches", name))
    facts: dict[str, bool] = remembered("plugins", key, read)
    return facts


def least_evaluations(choice: "Choice", layers: int) -> int:
    """Return how many evaluations a search cannot do without on so many layers; remembered."""
    key = digest("least", choice.model_dump(), layers, _code_of("searches", choice.name))

    def read() -> int:
        search = create("searches", choice.name, choice.options)
        return int(search.least_evaluations(layers))

    least: int = remembered("plugins", key, read)
    return least


def objection(choice: "Choice", cost: str) -> str | None:
    """Return why a search cannot do with a budget on ``cost``, or None; remembered."""
    key = digest("objection", choice.model_dump(), cost, _code_of("searches", choice.name))

    def read() -> str | None:
        reason: str | None = create("searches", choice.name, choice.options).objection(cost)
        return reason

    found: str | None = remembered("plugins", key, read)
    return found


def _dataset_facts(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return what ``dataset_facts`` does, from the plugin itself."""
    dataset = create("datasets", name, options)
    return {
        "stamp": dataset.stamp,
        "classes": dataset.classes,
        "sizes": dataset.sizes(),
        "shape": list(dataset.shape()),
    }
