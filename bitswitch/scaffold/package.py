"""Write a small installable package that holds one plugin."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from bitswitch.errors import SpecError
from bitswitch.plugins import registry

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
Kind = Literal["method", "sensitivity", "search"]
GROUPS: dict[Kind, str] = {
    "method": "methods",
    "sensitivity": "sensitivities",
    "search": "searches",
}
"""Plugin group of every kind of package."""
TAKEN: dict[Kind, tuple[str, ...]] = {
    "method": ("annotated", "field", "tensor"),
    "sensitivity": ("annotated", "field"),
    "search": ("literal",),
}
"""Names whose class would hide one that the module imports."""


def new_package(kind: Kind, name: str, into: Path) -> Path:
    """Write a package with the plugin ``name`` into a new folder of ``into``; return the folder.

    The folder appears whole or not at all.

    Raises:
        SpecError: a name that no such plugin can have, or a folder that is there already.
    """
    _check(kind, name)
    folder = into / f"bitswitch-{name}"
    if folder.exists():
        raise SpecError(
            f"{folder} exists and is left alone.\n"
            f"  Choose another name, or another place with --into."
        )
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=into) as temporary:
        written = Path(temporary) / folder.name
        for path, content in rendered(kind, name).items():
            target = written / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)
        written.rename(folder)
    return folder


def rendered(kind: Kind, name: str) -> dict[str, str]:
    """Return the files of the package for the plugin ``name``: path to content."""
    return filled(kind, {"name": name, "module": module_of(name), "cls": class_of(name)})


def filled(folder: str, words: Mapping[str, str]) -> dict[str, str]:
    """Return the files that the templates in ``folder`` make: path to content.

    Args:
        folder: Beside this module.
        words: What templates name; one that stands in a path in capitals is replaced there too.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / folder),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    files = {}
    for template in sorted(environment.list_templates(extensions=["j2"])):
        path = template.removesuffix(".j2")
        for word, value in words.items():
            path = path.replace(word.upper(), value)
        files[path] = environment.get_template(template).render(words)
    return files


def module_of(name: str) -> str:
    """Return the module that holds the plugin ``name``.

    >>> module_of("max-abs")
    'bitswitch_max_abs'
    """
    return f"bitswitch_{name.replace('-', '_')}"


def class_of(name: str) -> str:
    """Return the class of the plugin ``name``.

    >>> class_of("max-abs")
    'MaxAbs'
    """
    return "".join(word.capitalize() for word in name.split("-"))


def _check(kind: Kind, name: str) -> None:
    """Raise unless a new plugin can have this name."""
    if not NAME.fullmatch(name):
        raise SpecError(
            f"'{name}' cannot be the name of a {kind}.\n"
            f"  Use lower-case letters, digits and single hyphens, a letter first: my-{kind}."
        )
    if class_of(name).lower() in TAKEN[kind]:
        raise SpecError(
            f"'{name}' cannot be the name of a {kind}: its module imports a '{class_of(name)}'."
            f"\n  Say what is particular about it, e.g. '{name}-scaled'."
        )
    if name in registry.names(GROUPS[kind]):
        raise SpecError(f"A {kind} '{name}' is installed already.\n  Choose another name.")
