"""Find and load plugins: entry points are the only mechanism, their names the only names."""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Literal, overload

from bitswitch.errors import PluginError, SpecError, UnknownPluginError, hint, shown
from bitswitch.runtime.cache import code_state, digest, remembered
from bitswitch.spec.yaml_files import renamed
from bitswitch.types import BitSet

if TYPE_CHECKING:  # contracts import torch
    from bitswitch.contracts.data import Dataset, Model
    from bitswitch.contracts.method import Method
    from bitswitch.contracts.plugin import Plugin
    from bitswitch.contracts.search import Search
    from bitswitch.contracts.sensitivity import Sensitivity

GROUPS = ("methods", "models", "datasets", "sensitivities", "searches")
"""Groups ``bitswitch.<group>`` that packages may extend, and on which numbers depend."""

REPORT_GROUPS = ("tables", "figures")
"""Groups of what shows numbers."""


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


def modules(groups: Iterable[str] = GROUPS) -> set[str]:
    """Return the modules of all installed plugins of ``groups``; nothing is imported."""
    points = (entry_points(group=f"bitswitch.{group}") for group in groups)
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
    cls, base = _imported(point), contract(group)
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise PluginError(
            f"Plugin '{name}' of {_owner(point)} is no {base.__name__}: "
            f"{point.value} must be a subclass of {base.__module__}.{base.__name__}."
        )
    return cls


def load_kind(group: str, name: str, base: type[Any]) -> Any:
    """Return the table or figure ``name``, which is an object instead of a class.

    Args:
        group: One of ``REPORT_GROUPS``.
        name: Of the plugin.
        base: Whose instance it is.

    Raises:
        UnknownPluginError: no installed package provides the name.
        PluginError: the plugin cannot be imported, or is something else.
    """
    points = _installed(group)
    if name not in points:
        raise UnknownPluginError(group, name, points)
    point = points[name]
    kind = _imported(point)
    if not isinstance(kind, base):
        raise PluginError(
            f"Plugin '{name}' of {_owner(point)} is no {base.__name__}: "
            f"{point.value} must be a {base.__module__}.{base.__name__}."
        )
    return kind


def _imported(point: EntryPoint) -> Any:
    """Return what an entry point names.

    Raises:
        PluginError: it cannot be imported.
    """
    try:
        return point.load()
    except Exception as error:
        raise PluginError(
            f"Plugin '{point.name}' of {_owner(point)} cannot be imported: "
            f"{type(error).__name__}: {error}\n  entry point: {point.value}"
        ) from error


def contract(group: str) -> "type[Plugin]":
    """Return the base class of all plugins of ``group``."""
    from bitswitch.contracts.data import Dataset, Model
    from bitswitch.contracts.method import Method
    from bitswitch.contracts.search import Search
    from bitswitch.contracts.sensitivity import Sensitivity

    bases: tuple[type[Plugin], ...] = (Method, Model, Dataset, Sensitivity, Search)
    return dict(zip(GROUPS, bases, strict=True))[group]


def resolve(group: str, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return all options of a plugin, defaults filled in and values checked.

    The answer is remembered until the plugin's package changes, so that a suite expands without
    importing any plugin (and with it torch).

    Raises:
        UnknownPluginError: no installed package provides the name.
        SpecError: an option that the plugin does not have, or a value out of range.
    """
    key = digest("resolve", group, name, options, code_of(group, name))
    resolved: dict[str, Any] = remembered("plugins", key, lambda: _resolve(group, name, options))
    return resolved


def option_names(group: str, name: str) -> list[str]:
    """Return the names of all options of a plugin; remembered, like what ``resolve`` returns.

    Raises:
        UnknownPluginError: no installed package provides the name.
    """
    key = digest("option names", group, name, code_of(group, name))
    names: list[str] = remembered("plugins", key, lambda: [*load(group, name).Options.model_fields])
    return names


def code_of(group: str, name: str) -> tuple[str, str, str]:
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
            extra = problem["type"] == "extra_forbidden"
            near = (renamed(key) or hint(key, known.model_fields)) if extra else ""
            text = problem["msg"].removeprefix("Value error, ").removesuffix(".")
            lines.append(f"  option '{shown(key)}': {text}.{near}")
        raise SpecError(
            f"Options of '{name}' (group 'bitswitch.{group}') cannot be used:\n"
            + "\n".join(lines)
            + f"\n  it has: {', '.join(known.model_fields) or 'no options'}"
        ) from error


@overload
def create(
    group: Literal["methods"], name: str, options: dict[str, Any], bitset: BitSet, /
) -> "Method": ...
@overload
def create(group: Literal["models"], name: str, options: dict[str, Any], /) -> "Model": ...
@overload
def create(group: Literal["datasets"], name: str, options: dict[str, Any], /) -> "Dataset": ...
@overload
def create(
    group: Literal["sensitivities"], name: str, options: dict[str, Any], /
) -> "Sensitivity": ...
@overload
def create(group: Literal["searches"], name: str, options: dict[str, Any], /) -> "Search": ...
@overload
def create(group: str, name: str, options: dict[str, Any], /, *context: Any) -> Any: ...
def create(group: str, name: str, options: dict[str, Any], /, *context: Any) -> Any:
    """Return an instance of plugin ``name`` with ``options``; methods also take a bit set."""
    cls = load(group, name)
    return cls(cls.Options(**resolve(group, name, options)), *context)
