"""Upper limits on whatever costs time: a suite at a small scale, its rows and jobs as they are."""

from collections.abc import Mapping
from typing import Any, TypeVar

from bitswitch.plugins.registry import option_names
from bitswitch.plugins.resolve import resolved
from bitswitch.spec.run import RunSpec, SensitivitySpec
from bitswitch.spec.search import SearchSpec

Limits = Mapping[str, int | Mapping[str, int]]
"""Largest values of numbers by their name; by the name of a plugin, those of its specs alone. These
set options, too, that are null, and so have no bound, or that specs leave out at their default."""
Spec = TypeVar("Spec", RunSpec, SensitivitySpec, SearchSpec)
_SPECS = (RunSpec, SensitivitySpec, SearchSpec)


def capped(value: Any, limits: Limits) -> Any:
    """Return ``value`` with every number in it at most what ``limits`` say of its name.

    >>> capped({"epochs": 90, "options": {"images": 4}, "snapshots": [5, 30]},
    ...        {"epochs": 2, "images": 8, "snapshots": 1})
    {'epochs': 2, 'options': {'images': 4}, 'snapshots': [1]}
    """
    if not isinstance(value, Mapping):
        return value
    return {key: _at_most(one, limits.get(key), limits) for key, one in value.items()}


def _at_most(value: Any, limit: Any, limits: Limits) -> Any:
    if not isinstance(limit, int):
        return capped(value, limits)
    if isinstance(value, list | tuple):
        return list(dict.fromkeys(_at_most(one, limit, limits) for one in value))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return min(value, limit) if is_number else capped(value, limits)


def complete(spec: Spec, limits: Limits) -> Spec:
    """Return ``spec`` with every option spelled out, and every number within ``limits``.

    Raises:
        UnknownPluginError: no installed package provides a plugin.
        SpecError: an option that a plugin does not have, or a value out of range.
    """
    spec = resolved(spec)
    if not limits:
        return spec
    limited: Spec = _limited(spec, limits)
    return resolved(limited)


def _limited(spec: Any, limits: Limits) -> Any:
    """Return ``spec``, and the specs that it names, within ``limits``."""
    fields = {name: getattr(spec, name) for name in type(spec).model_fields}
    inner = {name: _limited(one, limits) for name, one in fields.items() if isinstance(one, _SPECS)}
    plugin, group = _plugin_of(spec)
    special = limits.get(fields[plugin].name)
    own = dict(special) if isinstance(special, Mapping) else {}
    numbers = capped(spec.model_dump(exclude={*inner}), {**limits, **own})
    options = numbers[plugin]["options"]
    if own:
        known = option_names(group, fields[plugin].name)
        options |= {name: own[name] for name in known if name in own and options.get(name) is None}
    return type(spec).model_validate({**numbers, **inner})


def _plugin_of(spec: RunSpec | SensitivitySpec | SearchSpec) -> tuple[str, str]:
    """Return the field that names a spec's plugin, and the group of that."""
    if isinstance(spec, RunSpec):
        return "method", "methods"
    if isinstance(spec, SearchSpec):
        return "search", "searches"
    return "sensitivity", "sensitivities"
