"""Packages that offer names of their modules, and import a module when one is first used."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    Where type checkers see them, they take every name for granted: leave these two out there, and
    import the names instead.

    Args:
        package: Its full name.
        modules: Names to offer, separated by spaces, by the module below ``package`` that defines
            them.
    """
    homes = {
        name: f"{package}.{module}" for module, names in modules.items() for name in names.split()
    }
    values = vars(sys.modules[package])

    def get(name: str) -> Any:
        """Import a name when it is first used."""
        if name not in homes:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        value = values[name] = getattr(import_module(homes[name]), name)
        return value

    def names() -> list[str]:
        """Return what ``dir()`` lists."""
        return sorted({*values, *homes})

    return get, names
