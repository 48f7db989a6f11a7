"""Specs with every option of their plugins spelled out, which checks them all."""

from pathlib import Path
from typing import overload

from bitswitch.errors import SpecError
from bitswitch.plugins import facts, registry
from bitswitch.spec.run import Choice, RunSpec, SensitivitySpec
from bitswitch.spec.search import SearchSpec
from bitswitch.spec.training import TrainingSpec
from bitswitch.spec.yaml_files import explained, read_yaml

_Spec = RunSpec | SensitivitySpec | SearchSpec


def resolved_choice(choice: Choice, group: str) -> Choice:
    """Return the same plugin of ``group`` with every option spelled out.

    Raises:
        UnknownPluginError: no installed package provides the name.
        SpecError: an option that the plugin does not have, or a value out of range.
    """
    return Choice(name=choice.name, options=registry.resolve(group, choice.name, choice.options))


@overload
def resolved(spec: RunSpec) -> RunSpec: ...
@overload
def resolved(spec: SensitivitySpec) -> SensitivitySpec: ...
@overload
def resolved(spec: SearchSpec) -> SearchSpec: ...
def resolved(spec: _Spec) -> _Spec:
    """Return the same spec with every option of every plugin in it spelled out.

    Raises:
        UnknownPluginError: no installed package provides a plugin.
        SpecError: an option that a plugin does not have, a value out of range, or ALRS where
            nothing is learned that it could scale.
    """
    if isinstance(spec, RunSpec):
        run = spec.model_copy(
            update={
                "method": resolved_choice(spec.method, "methods"),
                "model": resolved_choice(spec.model, "models"),
                "dataset": resolved_choice(spec.dataset, "datasets"),
                "start": spec.start and resolved(spec.start),
                "sensitivity": spec.sensitivity and resolved(spec.sensitivity),
            }
        )
        _check_alrs(run.training, run, "training")
        return run
    if isinstance(spec, SensitivitySpec):
        return spec.model_copy(
            update={
                "sensitivity": resolved_choice(spec.sensitivity, "sensitivities"),
                "run": resolved(spec.run),
            }
        )
    search = spec.model_copy(
        update={
            "search": resolved_choice(spec.search, "searches"),
            "run": resolved(spec.run),
            "sensitivity": spec.sensitivity and resolved(spec.sensitivity),
        }
    )
    if search.retraining is not None:
        _check_alrs(search.retraining, search.run, "retraining")
    return search


def _check_alrs(training: TrainingSpec, run: RunSpec, key: str) -> None:
    """Refuse ALRS in a training, the value of ``key``, of a method without learned scales."""
    if training.alrs is not None and not facts.learns_scales(run):
        raise SpecError(
            f"{key}.alrs: method '{run.method.name}' has no learned scales, whose learning rate "
            f"ALRS sets. Leave {key}.alrs out (or write alrs: null where a recipe brings it)"
        )


def read_run(path: Path) -> RunSpec:
    """Return the run spec in a YAML file, resolved.

    Raises:
        SpecError: it is no valid one.
    """
    with explained(str(path)):
        return resolved(RunSpec.model_validate(read_yaml(path)))
