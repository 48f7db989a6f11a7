"""What the jobs of a suite have left, and what code has made it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from bitswitch.errors import RecordError
from bitswitch.results.deployments import DeploymentRecord, read_deployment
from bitswitch.results.provenance import Provenance
from bitswitch.results.records import (
    RunRecord,
    ScoringRecord,
    SearchRecord,
    read_run,
    read_scoring,
    read_search,
)
from bitswitch.suite.suite import Suite


class JobRecords(NamedTuple):
    """Records of all jobs by identifier; None where one is not complete."""

    runs: dict[str, RunRecord | None]
    sensitivities: dict[str, ScoringRecord | None]
    searches: dict[str, SearchRecord | None]
    deployments: dict[str, DeploymentRecord | None]

    @classmethod
    def read(cls, suite: Suite, results: Path) -> Self:
        """Return what the jobs of ``suite`` have left below ``results``.

        Raises:
            RecordError: a damaged record.
        """
        return cls(
            runs={key: read_run(results / "runs" / key) for key in suite.runs},
            sensitivities={
                key: read_scoring(results / "sensitivities" / key, spec)
                for key, spec in suite.sensitivities.items()
            },
            searches={key: read_search(results / "searches" / key) for key in suite.searches},
            deployments={
                key: read_deployment(results / "deployments" / key) for key in suite.deployments
            },
        )


def refuse_mixed(found: Sequence[JobRecords], accept: str) -> None:
    """Raise unless the same numeric code, that of plugins included, has made all records.

    Args:
        found: Of one suite, in one or several folders.
        accept: Command that accepts the mixture.

    Raises:
        RecordError: it has not.
    """
    for jobs in _by_stage(found):
        if lines := _versions(jobs):
            raise RecordError(
                "Runs of different code versions do not go into one table:\n"
                + "\n".join(lines)
                + "\n  Delete the directories of the older runs and run the suite again,\n"
                f"  or accept the mixture: {accept}"
            )


Made = list[tuple[str, Provenance]]
"""What made every job, with its identifier."""


def _by_stage(found: Sequence[JobRecords]) -> Iterator[Made]:
    """Yield what made the jobs of every stage, which has code of its own."""
    for stage in (
        [one.runs for one in found],
        [{**one.sensitivities, **one.searches} for one in found],
        [one.deployments for one in found],
    ):
        yield [
            (key, record.provenance)
            for records in stage
            for key, record in records.items()
            if record is not None and record.provenance.code_hash is not None
        ]


def _versions(jobs: Made) -> list[str]:
    """Return a line about every version of each package that has several."""
    by_code: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for key, made in jobs:
        for package, code in {"bitswitch": str(made.code_hash), **made.plugin_hashes}.items():
            by_code[package][code].append(key)
    return [
        f"  {package} {code}: {len(ids)} runs, e.g. {ids[0]}"
        for package, versions in by_code.items()
        for code, ids in versions.items()
        if len(versions) > 1
    ]
