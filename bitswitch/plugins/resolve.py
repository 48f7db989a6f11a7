"""Specs with every option of their plugins spelled out, which checks them all."""

from pathlib import Path
from typing import overload

from bitswitch.plugins import registry
from bitswitch.spec.run import Choice, RunSpec, SensitivitySpec
from bitswitch.spec.search import SearchSpec
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
        SpecError: an option that a plugin does not have, or a value out of range.
    """
    if isinstance(spec, RunSpec):
        return spec.model_copy(
            update={
                "method": resolved_choice(spec.method, "methods"),
                "model": resolved_choice(spec.model, "models"),
                "dataset": resolved_choice(spec.dataset, "datasets"),
                "start": spec.start and resolved(spec.start),
                "sensitivity": spec.sensitivity and resolved(spec.sensitivity),
            }
        )
    if isinstance(spec, SensitivitySpec):
        return spec.model_copy(
            update={
                "sensitivity": resolved_choice(spec.sensitivity, "sensitivities"),
                "run": resolved(spec.run),
            }
        )
    return spec.model_copy(
        update={
            "search": resolved_choice(spec.search, "searches"),
            "run": resolved(spec.run),
            "sensitivity": spec.sensitivity and resolved(spec.sensitivity),
        }
    )


def read_run(path: Path) -> RunSpec:
    """Return the run spec in a YAML file, resolved.

    Raises:
        SpecError: it is no valid one.
    """
    with explained(str(path)):
        return resolved(RunSpec.model_validate(read_yaml(path)))
