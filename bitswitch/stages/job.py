"""What frames every job: its folder and spec, a clock, provenance, a diagnosis, and a result."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, ClassVar, Self

import torch

from bitswitch.errors import Diverged
from bitswitch.results import provenance
from bitswitch.results.files import write_bytes
from bitswitch.results.provenance import Provenance
from bitswitch.results.record import Record
from bitswitch.results.result import write_result
from bitswitch.runtime import devices, instructions
from bitswitch.runtime.drafts import remove_lost
from bitswitch.spec import yaml_text
from bitswitch.stages.execution import Execution
from bitswitch.training.clock import Clock, Instant
from bitswitch.types import Strict

log = logging.getLogger(__name__)

PROVENANCE = "provenance.json"


class Job(ABC):
    """Work in a folder that says what is computed, by what code, how long it took, how it ended.

    Work is done inside ``with``. Where it is done, or has ``Diverged``, which is a finding and no
    failure, the job leaves what it found and, last of all, ``result.json``. Any other error goes
    on, and leaves the job to be run again.

    Args:
        folder: Is made if it is not there; what killed attempts left half written is cleared.
        spec: Written to ``spec.yaml``; None: another job has written it.
        execution: How it is executed.
        began: When it began.
    """

    stage: ClassVar[provenance.Stage]
    """Whose code decides the numbers."""

    def __init__(
        self, folder: Path, spec: Strict | None, execution: Execution, began: Instant
    ) -> None:
        torch.set_num_threads(execution.threads)
        devices.make_current(execution.device)
        self.folder = folder
        self.spec_file = spec
        self.execution = execution
        self.clock = Clock(execution.device, began)
        self.provenance = Provenance()
        self.status = "complete"
        self.diagnosis: str | None = None

    @abstractmethod
    def result(self) -> Record:
        """Return what ``result.json`` says; ``ending`` is part of it."""

    @abstractmethod
    def write(self) -> Iterable[str]:
        """Write what the job has found, even if it is nothing, and return the names of the files.

        They are those that readers of the result rely on.
        """

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_lost(self.folder)
        if self.spec_file is not None:
            content = yaml_text.dump(self.spec_file.model_dump(mode="json"))
            write_bytes(self.folder / "spec.yaml", content.encode())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Leave the result, unless ``error`` is a failure; return whether it was a finding."""
        if isinstance(error, Diverged):
            self.status, self.diagnosis = "diverged", str(error)
        elif error is not None:
            return False
        files = [PROVENANCE, *self.write()]
        self.provenance.ended().write(self.folder / PROVENANCE)
        write_result(self.folder, self.result().content(), files)
        because = f": {self.diagnosis}" if self.diagnosis else ""
        log.info("%s: %s%s", self.folder.name, self.status, because)
        return True

    def facts(
        self, modules: Iterable[str], data: Mapping[str, str] = MappingProxyType({})
    ) -> Provenance:
        """Return the provenance of this job.

        Args:
            modules: Of the plugins that do it.
            data: What the dataset says of its files.
        """
        device = self.execution.device
        return provenance.collect(
            modules,
            str(device),
            devices.product_name(device),
            instructions.used_on(device),
            self.execution.threads,
            self.stage,
            data,
        )

    def identify(self, facts: Provenance) -> None:
        """Write what makes the numbers from now on."""
        facts.write(self.folder / PROVENANCE)
        self.provenance = facts

    def before(self) -> Provenance | None:
        """Return what an earlier attempt in the same folder wrote, if there was one."""
        path = self.folder / PROVENANCE
        return Provenance.read(path) if path.exists() else None

    def ending(self) -> dict[str, Any]:
        """Return how the job ended and what it took: the fields that all results share."""
        return {
            "status": self.status,
            "diagnosis": self.diagnosis,
            "time_kind": self.clock.kind,
            "wall_time_s": self.clock.read()["wall"],
            "peak_memory_mib": self.clock.peak_memory_mib(),
        }
