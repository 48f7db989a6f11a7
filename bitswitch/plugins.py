"""Find and load plugins: entry points are the only mechanism, their names the only names."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from bitswitch.errors import PluginError, UnknownPluginError, hint

if TYPE_CHECKING:
    from bitswitch.contracts import Plugin

GROUPS = ("methods", "models", "datasets")
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

    Raises:
        SpecError: an option that the plugin does not have, or a value out of range.
    """
    from pydantic import ValidationError

    from bitswitch.errors import SpecError

    known = load(group, name).Options
    try:
        return known(**options).model_dump(mode="json")
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            key = ".".join(map(str, problem["loc"]))
            near = hint(key, known.model_fields) if problem["type"] == "extra_forbidden" else ""
            lines.append(f"  option '{key}': {problem['msg']}.{near}")
        raise SpecError(
            f"Options of '{name}' (group 'bitswitch.{group}') cannot be used:\n"
            + "\n".join(lines)
            + f"\n  it has: {', '.join(known.model_fields) or 'no options'}"
        ) from error


def create(group: str, name: str, options: dict[str, Any], *context: Any) -> Any:
    """Return an instance of plugin ``name`` with ``options``; methods also take a bit set."""
    cls = load(group, name)
    return cls(cls.Options(**resolve(group, name, options)), *context)
