"""What lm-eval says of a network: ``results/lm-eval/<run>/<digest>.json``."""

from pathlib import Path
from typing import Any, Literal

from bitswitch.results.provenance import Provenance
from bitswitch.results.record import Record
from bitswitch.runtime.cache import digest

FOLDER = "lm-eval"


class TaskFacts(Record):
    """What was asked."""

    version: str | float | None = None
    """Of the task, as its author counts."""
    shots: int
    """Solved examples before every question."""
    questions: int
    """How many were asked."""
    available: int
    """How many there are."""
    data_hash: str
    """Of all questions that were asked, as the network read them, and their answers."""
    higher_is_better: dict[str, bool | None]
    """By metric."""


class Answers(Record):
    """What a network says at one policy."""

    policy: int | dict[str, tuple[int, int]]
    """Bit-width of all layers, or (weight, input) bit-widths of each."""
    values: dict[str, dict[str, float | None]]
    """By task or group, and by metric; None: it is not finite."""
    truncated: int
    """Requests whose context did not fit into that of the network, and lost its beginning."""


class Evaluation(Record):
    """A network at one or several policies, and all that decides the numbers."""

    version: Literal[1] = 1
    run: str
    """That trained the network."""
    file: str | None = None
    """Deployed model that was evaluated; None: the network of the run itself."""
    file_sha256: str | None = None
    protocol: str
    """How the network was trained to read text."""
    context: int
    """Tokens that it reads at most."""
    first_token: int
    """What stands before a text that has no context."""
    limit: float | None
    """Of questions per task, or the share of them below 1; None: all."""
    shots: int | None
    """That were asked for; None: what each task says."""
    batch_size: int
    versions: dict[str, str | None]
    """Of the libraries that tasks and tokens come from."""
    tasks: dict[str, TaskFacts]
    answers: list[Answers]
    provenance: Provenance

    def default_path(self, results: Path) -> Path:
        """Return the file below ``results`` for these settings."""
        settings: dict[str, Any] = self.model_dump(
            include={"file_sha256", "limit", "shots", "batch_size"}
        )
        policies = [one.model_dump()["policy"] for one in self.answers]
        name = digest(settings, policies, sorted(self.tasks))[:8]
        return results / FOLDER / self.run / f"{name}.json"
