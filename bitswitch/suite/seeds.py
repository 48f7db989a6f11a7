"""What a suite resolves for one seed, as its other seeds have it."""

from typing import Any, TypeVar

from bitswitch.spec.run import RunSpec, SensitivitySpec
from bitswitch.spec.search import SearchSpec

_Spec = TypeVar("_Spec", RunSpec, SensitivitySpec, SearchSpec)


class Seeded:
    """Specs with another seed, each made once, so that its identity is computed once.

    Args:
        seed: Of every run and sensitivity; searches keep their own.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._made: dict[str, Any] = {}

    def run(self, run: RunSpec) -> RunSpec:
        """Return ``run`` with this seed, and all that it starts from and is guided by."""
        if run.run_id not in self._made:
            guide = run.sensitivity and self.sensitivity(run.sensitivity)
            changes = {"start": run.start and self.run(run.start), "sensitivity": guide}
            self._made[run.run_id] = _changed(run, seed=self.seed, **changes)
        made: RunSpec = self._made[run.run_id]
        return made

    def sensitivity(self, one: SensitivitySpec) -> SensitivitySpec:
        """Return ``one`` with this seed, of the run with this seed."""
        if one.identifier not in self._made:
            self._made[one.identifier] = _changed(one, seed=self.seed, run=self.run(one.run))
        made: SensitivitySpec = self._made[one.identifier]
        return made

    def search(self, search: SearchSpec) -> SearchSpec:
        """Return ``search`` of the run with this seed."""
        if search.identifier not in self._made:
            scores = search.sensitivity and self.sensitivity(search.sensitivity)
            self._made[search.identifier] = _changed(
                search, run=self.run(search.run), sensitivity=scores
            )
        made: SearchSpec = self._made[search.identifier]
        return made


def _changed(spec: _Spec, **changes: Any) -> _Spec:
    """Return ``spec`` with other values, which are valid; a copy would keep its identity."""
    fields = {name: getattr(spec, name) for name in type(spec).model_fields}
    return type(spec).model_construct(spec.model_fields_set, **fields | changes)
