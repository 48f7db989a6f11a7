"""How jobs are executed, whatever they compute."""

from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Execution:
    """How a run is executed; nothing here is part of its identity."""

    results: Path
    """Folder of all results."""
    data: Path
    """Folder of the datasets."""
    device: torch.device
    threads: int = 1
    """Processor threads of torch."""
    save_interval_s: float = 60.0
    """Time between checkpoints inside an epoch."""

    @property
    def runs(self) -> Path:
        """Folder of all run directories."""
        return self.results / "runs"

    @property
    def sensitivities(self) -> Path:
        """Folder of all scores."""
        return self.results / "sensitivities"

    @property
    def searches(self) -> Path:
        """Folder of all searches."""
        return self.results / "searches"

    @property
    def deployments(self) -> Path:
        """Folder of all deployed models."""
        return self.results / "deployments"
