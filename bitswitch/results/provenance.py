"""What made a run's numbers: code, versions, machine."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self

from pydantic import Field

from bitswitch.results.closure import closure
from bitswitch.results.record import Record
from bitswitch.runtime.cache import code_state, digest, remembered

PACKAGE = Path(__file__).parents[1]
Stage = Literal["train", "explore", "deploy", "evaluate"]
"""Work with code of its own: training; scoring and searching; deployment; lm-eval."""
_TRAINING = ("stages/training_job.py", "methods", "models", "data")
_ROOTS: dict[Stage, tuple[str, ...]] = {
    "train": _TRAINING,
    "explore": (
        *_TRAINING,
        *("stages/scoring_job.py", "stages/search_job.py", "sensitivities", "searches"),
    ),
    "deploy": (*_TRAINING, "stages/deployment_job.py"),
    "evaluate": (*_TRAINING, "harness"),
}
"""What carries out each stage: its job, and all plugins, which are reached by name."""
_LEAVES = ("stages/__init__.py",)
"""Calls the job of every stage, and so imports those of the others."""

GIT_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR")
"""Of the environment of hooks: they name another repository."""


def code_hash(stage: Stage = "train") -> str:
    """Return sixteen hex digits of the source code that the numbers of ``stage`` may depend on.

    That is whatever its job and the package's own plugins import, directly or not. Some of it
    decides no number, say ``errors.py``: where it was edited, equal numbers carry two hashes, which
    is the lesser evil. Reports, the command line, checks, benchmarks and plans are not imported.
    """
    return _hash((name, PACKAGE / name) for name in sources(stage))


def sources(stage: Stage) -> list[str]:
    """Return the files that ``code_hash`` reads, relative to the package, sorted.

    The list is remembered until a file of the package is edited.
    """

    def compute() -> list[str]:
        return closure(PACKAGE, _ROOTS[stage], _LEAVES)

    key = digest("sources", stage, str(PACKAGE), code_state(__name__))
    files: list[str] = remembered("sources", key, compute)
    return files


def plugin_hashes(modules: Iterable[str]) -> dict[str, str]:
    """Return the hash of all source files of each foreign package among ``modules``, by its name.

    Args:
        modules: Modules of the plugins in use.
    """
    return {
        name: _hash((str(file.relative_to(folder)), file) for file in files)
        for name, folder, files in _foreign_packages(modules)
    }


def plugin_sources(modules: Iterable[str]) -> list[Path]:
    """Return all source files of each foreign package among ``modules``, sorted by package.

    Args:
        modules: Modules of plugins.
    """
    return [file for _, _, files in _foreign_packages(modules) for file in files]


def _foreign_packages(modules: Iterable[str]) -> Iterator[tuple[str, Path, list[Path]]]:
    """Yield name, folder and source files of each package that is not this one."""
    for name in sorted({module.partition(".")[0] for module in modules} - {PACKAGE.name}):
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            is_package = spec.submodule_search_locations
            yield (
                name,
                origin.parent,
                sorted(origin.parent.rglob("*.py")) if is_package else [origin],
            )


def _hash(files: Iterable[tuple[str, Path]]) -> str:
    """Return the digest of files, each with the name that it has in it."""
    content = hashlib.sha256()
    for name, file in files:
        content.update(f"{name}\0".encode() + file.read_bytes())
    return content.hexdigest()[:16]


def commit() -> dict[str, str | None]:
    """Return the ``commit`` of the package's own repository, or why it is unknown.

    Uncommitted changes are marked by ``-dirty``.
    """
    try:
        _git("ls-files", "--error-unmatch", "__init__.py")
        found = _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except subprocess.CalledProcessError as error:  # no repository, or one of another owner
        return {"commit": None, "commit_unknown": error.stderr.partition("\n")[0]}
    except (OSError, subprocess.SubprocessError) as error:
        return {"commit": None, "commit_unknown": str(error)}
    return {"commit": found, "commit_unknown": None}


def _git(*arguments: str) -> str:
    """Return what git says of the folder of the package, whatever repository called us.

    Raises:
        CalledProcessError: it fails.
        SubprocessError: it takes too long.
        OSError: it is not there.
    """
    command = ["git", "-C", str(PACKAGE), *arguments]
    calls = {name: value for name, value in os.environ.items() if name not in GIT_VARIABLES}
    answer = subprocess.run(
        command, capture_output=True, text=True, timeout=10, check=True, env=calls
    )
    return answer.stdout.strip()


class Provenance(Record):
    """``provenance.json``: what made the numbers of a job."""

    bitswitch_version: str | None = None
    commit: str | None = None
    commit_unknown: str | None = None
    """Why the commit is."""
    code_hash: str | None = None
    """Of the source code that decides the numbers; None here: the job diverged before it began."""
    plugin_hashes: dict[str, str] = Field(default_factory=dict)
    """Of the packages of foreign plugins, by name."""
    data: dict[str, str] = Field(default_factory=dict)
    """What the dataset says of its files, e.g. a checksum."""
    python: str | None = None
    torch: str | None = None
    torchvision: str | None = None
    device: str | None = None
    device_name: str | None = None
    """What it is sold as."""
    instructions: str | None = None
    """With which torch computes where the device is the processor, e.g. ``AVX2``."""
    threads: int | None = None
    processes: int | None = None
    """That shared every batch; None: one."""
    platform: str | None = None
    started: str | None = None
    finished: str | None = None

    @property
    def code(self) -> tuple[str | None, dict[str, str]]:
        """All hashes of code."""
        return self.code_hash, self.plugin_hashes

    def after(self, before: Self) -> Self:
        """Return the provenance of a job that started as ``before`` and goes on as this one.

        A job that more than one version of the code has worked on carries all their hashes, joined
        by ``+``, and so is never taken for a job of one of them.
        """
        plugins = {
            name: _joined(before.plugin_hashes.get(name), digest)
            for name, digest in self.plugin_hashes.items()
        }
        data = {name: _joined(before.data.get(name), fact) for name, fact in self.data.items()}
        changes = {"plugin_hashes": plugins, "started": before.started}
        if data:
            changes["data"] = data
        if self.code_hash is not None:
            changes["code_hash"] = _joined(before.code_hash, self.code_hash)
        return self.model_copy(update=changes)

    def ended(self) -> Self:
        """Return the same of a job that ends now."""
        return self.model_copy(update={"finished": now()})


def collect(
    modules: Iterable[str],
    device: str,
    device_name: str,
    instructions: str | None,
    threads: int,
    stage: Stage = "train",
    data: Mapping[str, str] = MappingProxyType({}),
) -> Provenance:
    """Return the provenance of a job that starts now.

    Args:
        modules: Modules of the plugins in use.
        device: Of the model, e.g. ``cpu``.
        device_name: What it is sold as.
        instructions: With which torch computes on the processor; None: it does so elsewhere.
        threads: Processor threads of torch.
        stage: Whose code decides the numbers.
        data: What the dataset says of its files.
    """
    return Provenance(
        bitswitch_version=installed("bitswitch"),
        **commit(),
        code_hash=code_hash(stage),
        plugin_hashes=plugin_hashes(modules),
        **({"data": dict(data)} if data else {}),
        python=platform.python_version(),
        torch=installed("torch"),
        torchvision=installed("torchvision"),
        device=device,
        device_name=device_name,
        instructions=instructions,
        threads=threads,
        platform=platform.platform(),
        started=now(),
        finished=None,
    )


def _joined(before: str | None, now: str) -> str:
    """Return all hashes of ``before``, and ``now`` if it is none of them."""
    if before is None or now in before.split("+"):
        return before or now
    return f"{before}+{now}"


def installed(package: str) -> str | None:
    """Return the installed version of ``package``, without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
