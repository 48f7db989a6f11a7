"""What made a run's numbers: code, versions, machine."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
DECISIVE = (
    *("quant", "nn", "training", "methods", "data", "models"),
    *("contracts.py", "randomness.py", "stages.py", "types.py"),
)
"""Parts of the package that decide the numbers of runs; the rest may change without making them
differ."""
EXPLORATORY = (
    *DECISIVE,
    *("exploration", "searches", "sensitivities"),
    *("costs.py", "problems.py", "scores.py"),
)
"""Parts that decide those of sensitivities and searches."""
DEPLOYED = (*DECISIVE, "deployment")
"""Parts that decide what is found out about deployed models."""

GIT_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR")
"""Of the environment of hooks: they name another repository."""


def code_hash(parts: Iterable[str] = DECISIVE) -> str:
    """Return sixteen hex digits of the source code in ``parts`` of this package."""
    return _hash([file for part in parts for file in _sources(PACKAGE / part)])


def plugin_hashes(modules: Iterable[str]) -> dict[str, str]:
    """Return the hash of all source files of each foreign package among ``modules``, by its name.

    Args:
        modules: Modules of the plugins in use.
    """
    strangers = {module.partition(".")[0] for module in modules} - {PACKAGE.name}
    hashes = {}
    for name in sorted(strangers):
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            hashes[name] = _hash(
                _sources(origin.parent if spec.submodule_search_locations else origin)
            )
    return hashes


def _hash(files: Iterable[Path]) -> str:
    content = hashlib.sha256()
    for file in files:
        content.update(f"{file.name}\0".encode() + file.read_bytes())
    return content.hexdigest()[:16]


def _sources(path: Path) -> list[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def commit() -> dict[str, str | None]:
    """Return the ``commit`` of the package's own repository, or why it is unknown.

    Uncommitted changes are marked by ``-dirty``.
    """
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)
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


def collect(
    modules: Iterable[str],
    device: str,
    device_name: str,
    threads: int,
    parts: Iterable[str] = DECISIVE,
) -> dict[str, Any]:
    """Return the content of ``provenance.json`` for a run that starts now.

    Args:
        modules: Modules of the plugins in use.
        device: Of the model, e.g. ``cpu``.
        device_name: What it is sold as.
        threads: Processor threads of torch.
        parts: Of this package, that decide the numbers.
    """
    return {
        "bitswitch_version": installed("bitswitch"),
        **commit(),
        "code_hash": code_hash(parts),
        "plugin_hashes": plugin_hashes(modules),
        "python": platform.python_version(),
        "torch": installed("torch"),
        "torchvision": installed("torchvision"),
        "device": device,
        "device_name": device_name,
        "threads": threads,
        "platform": platform.platform(),
        "started": now(),
        "finished": None,
    }


def continued(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Return the provenance of a run that started as ``before`` and goes on as ``now``.

    A run that more than one version of the code has worked on carries all their hashes, joined
    by ``+``, and so is never taken for a run of one of them.
    """
    plugins = {
        name: _joined(before["plugin_hashes"].get(name, digest), digest)
        for name, digest in now["plugin_hashes"].items()
    }
    return {
        **now,
        "code_hash": _joined(before["code_hash"], now["code_hash"]),
        "plugin_hashes": plugins,
        "started": before["started"],
    }


def _joined(before: str, now: str) -> str:
    """Return all hashes of ``before``, and ``now`` if it is none of them."""
    hashes = before.split("+")
    return before if now in hashes else f"{before}+{now}"


def installed(package: str) -> str | None:
    """Return the installed version of ``package``, without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
