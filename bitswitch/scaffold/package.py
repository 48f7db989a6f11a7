"""Write a small installable package that holds one plugin."""

import re
import tempfile
from pathlib import Path

from bitswitch import plugins
from bitswitch.errors import SpecError

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
TAKEN = ("annotated", "card", "codes", "field", "method", "quantizer", "strict", "tensor", "width")
"""Names whose class would hide one that the module imports."""
TEMPLATES = Path(__file__).parent / "method"


def new_method(name: str, into: Path) -> Path:
    """Write a package with the method ``name`` into a new folder of ``into``; return the folder.

    The folder appears whole or not at all.

    Raises:
        SpecError: a name that no method can have, or a folder that is there already.
    """
    _check(name)
    folder = into / f"bitswitch-{name}"
    if folder.exists():
        raise SpecError(
            f"{folder} exists and is left alone.\n"
            f"  Choose another name, or another place with --into."
        )
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=into) as temporary:
        written = Path(temporary) / folder.name
        for path, content in rendered(name).items():
            target = written / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)
        written.rename(folder)
    return folder


def rendered(name: str) -> dict[str, str]:
    """Return the files of the package for the method ``name``: path to content."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    words = {"name": name, "module": module_of(name), "cls": class_of(name)}
    return {
        path.replace("MODULE", words["module"]).removesuffix(".j2"): (
            environment.get_template(path).render(words)
        )
        for path in sorted(environment.list_templates(extensions=["j2"]))
    }


def module_of(name: str) -> str:
    """Return the module that holds the method ``name``.

    >>> module_of("max-abs")
    'bitswitch_max_abs'
    """
    return f"bitswitch_{name.replace('-', '_')}"


def class_of(name: str) -> str:
    """Return the class of the method ``name``.

    >>> class_of("max-abs")
    'MaxAbs'
    """
    return "".join(word.capitalize() for word in name.split("-"))


def _check(name: str) -> None:
    """Raise unless a new method can have this name."""
    if not NAME.fullmatch(name):
        raise SpecError(
            f"'{name}' cannot be the name of a method.\n"
            f"  Use lower-case letters, digits and single hyphens, a letter first: my-method."
        )
    if class_of(name).lower() in TAKEN:
        raise SpecError(
            f"'{name}' cannot be the name of a method: bitswitch has a class '{class_of(name)}'."
            f"\n  Say what is particular about it, e.g. '{name}-scaled'."
        )
    if name in plugins.names("methods"):
        raise SpecError(f"A method '{name}' is installed already.\n  Choose another name.")
