"""An expanded suite as JSON: every spec once, and the cells that name them.

A suite expands by asking its plugins, and differently with other versions of them. The list says
how it was expanded, to whoever has neither the plugins nor torch.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from bitswitch.spec.run import RunSpec, SensitivitySpec
from bitswitch.spec.search import SearchSpec
from bitswitch.suite.suite import Cell


def listed(cells: Iterable[Cell]) -> dict[str, Any]:
    """Return ``cells`` as JSON has them."""
    specs: dict[str, dict[str, Any]] = {"runs": {}, "sensitivities": {}, "searches": {}}
    return {"cells": [_cell(cell, specs) for cell in cells], **specs}


def cells_of(content: Mapping[str, Any]) -> tuple[Cell, ...]:
    """Return the cells that ``listed`` has made ``content`` of."""
    specs = _Specs(content)
    return tuple(
        Cell(
            **{
                **cell,
                "bitset": tuple(cell["bitset"]),
                "run": specs.run(cell["run"]),
                "search": specs.search(cell["search"]),
                "scores": tuple(map(specs.sensitivity, cell["scores"])),
            }
        )
        for cell in content["cells"]
    )


Specs = dict[str, dict[str, Any]]


def _cell(cell: Cell, specs: Specs) -> dict[str, Any]:
    """Return one cell, whose specs are added to ``specs``."""
    fields = cell._asdict()
    del fields["train"]  # of parts of suites, which are not kept
    return {
        **fields,
        "run": _run(cell.run, specs),
        "search": cell.search and _search(cell.search, specs),
        "scores": [_sensitivity(one, specs) for one in cell.scores],
    }


def _run(run: RunSpec, specs: Specs) -> str:
    if run.run_id not in specs["runs"]:
        specs["runs"][run.run_id] = {
            **run.model_dump(mode="json", exclude={"start", "sensitivity"}),
            "start": run.start and _run(run.start, specs),
            "sensitivity": run.sensitivity and _sensitivity(run.sensitivity, specs),
        }
    return run.run_id


def _sensitivity(one: SensitivitySpec, specs: Specs) -> str:
    if one.identifier not in specs["sensitivities"]:
        specs["sensitivities"][one.identifier] = {
            **one.model_dump(mode="json", exclude={"run"}),
            "run": _run(one.run, specs),
        }
    return one.identifier


def _search(search: SearchSpec, specs: Specs) -> str:
    if search.identifier not in specs["searches"]:
        specs["searches"][search.identifier] = {
            **search.model_dump(mode="json", exclude={"run", "sensitivity"}),
            "run": _run(search.run, specs),
            "sensitivity": search.sensitivity and _sensitivity(search.sensitivity, specs),
        }
    return search.identifier


class _Specs:
    """Makes each spec of a list once.

    Args:
        content: As ``listed`` returned it.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content
        self._made: dict[str, Any] = {}

    def _once(self, kind: str, key: str | None, make: Any, **inner: Any) -> Any:
        if key is None:
            return None
        if key not in self._made:
            fields = dict(self._content[kind][key])
            fields |= {name: find(fields[name]) for name, find in inner.items()}
            self._made[key] = make.model_validate(fields)
        return self._made[key]

    def run(self, key: str | None) -> Any:
        inner = {"start": self.run, "sensitivity": self.sensitivity}
        return self._once("runs", key, RunSpec, **inner)

    def sensitivity(self, key: str | None) -> Any:
        return self._once("sensitivities", key, SensitivitySpec, run=self.run)

    def search(self, key: str | None) -> Any:
        inner = {"run": self.run, "sensitivity": self.sensitivity}
        return self._once("searches", key, SearchSpec, **inner)
