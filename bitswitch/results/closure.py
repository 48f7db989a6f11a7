"""Which source files of a package some of its modules import, and so may depend on."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeGuard


def closure(package: Path, roots: Iterable[str], leaves: Iterable[str] = ()) -> list[str]:
    """Return all files that ``roots`` import, directly or not, sorted; nothing is run.

    Imports inside functions count, those for type checkers alone do not. The ``__init__.py`` of
    every package on the way is a file like any other.

    Args:
        package: Folder of a top-level package.
        roots: Its files, or folders whose files are meant, relative to ``package``.
        leaves: Files that belong to it, but whose imports are not followed.

    Returns:
        Files relative to ``package``, with slashes.
    """
    found = {package / leaf for leaf in leaves}
    pending = [file for root in roots for file in _files(package / root)]
    while pending:
        file = pending.pop()
        if file not in found:
            found.add(file)
            pending += _imported(file, package)
    return sorted(file.relative_to(package).as_posix() for file in found)


def _files(path: Path) -> list[Path]:
    return list(path.rglob("*.py")) if path.is_dir() else [path]


def _imported(file: Path, package: Path) -> Iterator[Path]:
    """Yield the files of ``package`` that one of its files imports."""
    for name in _names(ast.parse(file.read_bytes())):
        first, *parts = name.split(".")
        if first == package.name:
            yield from _on_the_way(package, parts)


def _on_the_way(folder: Path, parts: list[str]) -> Iterator[Path]:
    """Yield the file of each package, and of the module, that a dotted name leads through."""
    for part in ["", *parts]:
        folder = folder / part
        for file in (folder / "__init__.py", folder.with_suffix(".py")):
            if file.is_file():
                yield file


def _names(node: ast.AST) -> Iterator[str]:
    """Yield the dotted names that a piece of source imports, members of modules included."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    else:
        inside = node.orelse if _for_type_checkers(node) else ast.iter_child_nodes(node)
        for child in inside:
            yield from _names(child)


def _for_type_checkers(node: ast.AST) -> TypeGuard[ast.If]:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )
