"""A suite that is based on another one: what it says is laid over what that one says."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from bitswitch.errors import SpecError, hint, shown
from bitswitch.spec.yaml_files import merge, read_yaml

KEY = "base"
"""In a suite file: the suite that it is based on, by name or path."""
CHOSEN = "experiments"
OWN = ("name", "title")
"""What a suite does not take from its base."""

Locate = Callable[[str, Path], Path]
"""Finds a suite by its name, in a folder first."""
State = tuple[int, int] | None


def states(*paths: Path) -> tuple[State, ...]:
    """Return what changes when one of the files is edited."""
    stats = (path.stat() if path.exists() else None for path in paths)
    return tuple(stat and (stat.st_mtime_ns, stat.st_size) for stat in stats)


def lineage(path: Path, locate: Locate) -> tuple[Path, ...]:
    """Return a suite's file, that of the suite it is based on, and so on.

    Raises:
        SpecError: a file cannot be read, or a suite is based on itself.
    """
    files = [path]
    while (name := _base_of(files[-1])) is not None:
        base = locate(name, files[-1].parent)
        if base.resolve() in [file.resolve() for file in files]:
            raise SpecError(f"{files[-1]}: base: '{shown(name)}' is based on this suite")
        files.append(base)
    return tuple(files)


def content_of(files: tuple[Path, ...]) -> Any:
    """Return what the first of ``files`` says, laid over the others, each over the next.

    Experiments that are a list of names are those of the base, and no others.

    Raises:
        SpecError: a base is no mapping, or lacks an experiment that is named.
    """
    *above, whole = map(_content, files)
    for path, found in reversed(list(zip(files, above, strict=False))):
        if not isinstance(whole, dict):
            raise SpecError(f"{path}: base: '{shown(found[KEY])}' is no suite: it holds no mapping")
        base = {key: value for key, value in whole.items() if key not in OWN}
        own = {key: value for key, value in found.items() if key != KEY}
        if isinstance(own.get(CHOSEN), list):
            base[CHOSEN] = _chosen(path, own.pop(CHOSEN), base.get(CHOSEN) or {})
        whole = merge(base, own)
    return dict(whole) if isinstance(whole, dict) else whole


def _chosen(path: Path, names: list[Any], known: dict[str, Any]) -> dict[str, Any]:
    """Return the experiments of a base that are named."""
    for name in names:
        if name not in known:
            raise SpecError(
                f"{path}: {CHOSEN}: its base has no experiment '{shown(str(name))}'."
                f"{hint(str(name), known)}\n  known: {', '.join(known)}"
            )
    return {name: known[name] for name in names}


def _content(path: Path) -> Any:
    (state,) = states(path)
    return _read(path, state)


@cache
def _read(path: Path, state: State) -> Any:
    """Return the content of a file, which nobody changes; ``state`` tells its versions apart."""
    return read_yaml(path)


def _base_of(path: Path) -> str | None:
    """Return the name of the suite that another one is based on, if any."""
    content = _content(path)
    if not isinstance(content, dict) or KEY not in content:
        return None
    name = content[KEY]
    if not isinstance(name, str):
        raise SpecError(f"{path}: base: the name of a suite is needed, not {shown(repr(name), 40)}")
    return name
