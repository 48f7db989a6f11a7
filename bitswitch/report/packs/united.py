"""The suite that several packs are of: one, whose seeds may lie in different packs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bitswitch.errors import RecordError
from bitswitch.report.collect.expansion import Expansion
from bitswitch.spec.yaml_files import explained
from bitswitch.suite.suite import Cell, Suite

Keys = tuple[str, ...]
"""Where a value stands in a suite file."""


class Part(NamedTuple):
    """What one pack is of."""

    file: Path
    suite: Suite
    expansion: Expansion


def united(parts: Sequence[Part]) -> tuple[Suite, Expansion]:
    """Return the suite with the seeds of all ``parts``, and what plugins say of it.

    It is what one machine would have packed that had run all seeds.

    Raises:
        RecordError: parts differ in something else than seeds, or their plugins do.
    """
    first = parts[0]
    content = first.suite.model_dump(mode="json", exclude_defaults=True)
    for part in parts[1:]:
        _add_seeds(content, part, first.file)
    with explained("The suite with the seeds of all packs"):
        suite = Suite.model_validate(content)
    cells = _cells(suite, parts)
    suite = suite.expanded_by(lambda: cells)
    datasets, methods, runs = (
        _agreed(parts, name, [getattr(part.expansion, name) for part in parts])
        for name in ("datasets", "methods", "runs")
    )
    return suite, Expansion(cells, datasets, methods, {key: runs[key] for key in suite.runs})


def _add_seeds(content: dict[str, Any], part: Part, first: Path) -> None:
    """Add the seeds of ``part`` to ``content``, the suite of those before.

    Raises:
        RecordError: they differ in something else.
    """
    known = dict(_leaves(content))
    found = dict(_leaves(part.suite.model_dump(mode="json", exclude_defaults=True)))
    for keys in dict.fromkeys((*known, *found)):
        if known.get(keys) == found.get(keys):
            continue
        if not (_are_seeds(keys) and keys in known and keys in found):
            raise RecordError(
                f"{part.file} is of another version of suite '{part.suite.name}' than {first}: "
                f"their suite.yaml differ in {'.'.join(keys)}, and only seeds of runs may.\n"
                f"  Run and pack all parts with the same suite file, or copies of it with other "
                f"seeds"
            )
        *within, last = keys
        place = content
        for key in within:
            place = place[key]
        place[last] = sorted({*known[keys], *found[keys]})


def _are_seeds(keys: Keys) -> bool:
    """Return whether they lead to seeds of runs: of the suite, a network or an experiment."""
    return keys[-1] == "seeds" and (
        len(keys) == 1 or (len(keys) == 3 and keys[0] in ("networks", "experiments"))
    )


def _leaves(content: Any, keys: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Yield every value of nested mappings, and where it stands."""
    if isinstance(content, Mapping) and content:
        for key, value in content.items():
            yield from _leaves(value, (*keys, key))
    else:
        yield keys, content


def _cells(suite: Suite, parts: Sequence[Part]) -> tuple[Cell, ...]:
    """Return the cells of all ``parts``, in the order of ``suite``.

    Raises:
        RecordError: a cell that two have is not the same.
    """
    order = [(*place, seed) for place in suite.places() for seed in suite.seeds_of(*place[:2])]
    by_part: list[dict[Any, list[Cell]]] = []
    for part in parts:
        found: dict[Any, list[Cell]] = {}
        for cell in part.expansion.cells:
            place = (cell.experiment, cell.network, cell.variant, cell.bitset)
            found.setdefault((*place, cell.seed), []).append(cell)
        by_part.append(found)
    agreed = _agreed(parts, "cells", by_part)
    return tuple(cell for key in order for cell in agreed.get(key, ()))


def _agreed(parts: Sequence[Part], what: str, said: Sequence[Mapping[Any, Any]]) -> dict[Any, Any]:
    """Return what all ``parts`` say together.

    Raises:
        RecordError: two say different things of one key.
    """
    found: dict[Any, Any] = {}
    for part, mapping in zip(parts, said, strict=True):
        for key, value in mapping.items():
            if found.setdefault(key, value) != value:
                raise RecordError(
                    f"{part.file} is of another version of suite '{part.suite.name}' than "
                    f"{parts[0].file}: plugins made their {what} differently.\n"
                    f"  Pack the results anew with the same plugins: bitswitch results pack SUITE"
                )
    return found
