"""Whether Python and packages are as this one needs them; nothing is imported."""

import platform
import runpy
import shlex
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from bitswitch.doctor.finding import Finding, State

NAME = "bitswitch"
COMMANDS = (NAME, "snakemake")
"""Jobs call the ones beside the Python of Snakemake."""
EXTRAS = {
    "dev": "make test",
    "docs": "make docs",
    "energy": "energies measured on GPUs",
    "kubernetes": "snakemake --profile profiles/kubernetes",
    "llm": "bitswitch lm-eval, decoders with tokenizers of their own",
    "slurm": "snakemake --profile profiles/slurm",
}
"""What needs each."""
LOGGER = "snakemake_logger_plugin_bitswitch"


def pip_install(*what: str) -> str:
    """Return the command that installs ``what`` for this Python."""
    return shlex.join([sys.executable, "-m", "pip", "install", *what])


def again() -> str:
    """Return the command that installs this package again, from where it lies."""
    clone = Path(__file__).resolve().parents[2]
    if (clone / "pyproject.toml").exists():
        return pip_install("--editable", str(clone))
    return pip_install("--force-reinstall", NAME)


def python() -> Iterator[Finding]:
    """Look at the version of Python."""
    found, needed = platform.python_version(), metadata(NAME)["Requires-Python"]
    what = f"{found}, {sys.executable}"
    if SpecifierSet(needed).contains(found, prereleases=True):
        yield Finding("python", "ok", what, "everything")
    else:
        mend = "make all PYTHON=/path/to/python"
        problem = f"{what}; {NAME} needs {needed}"
        yield Finding("python", "broken", problem, "everything", mend, stops=True)


def packages() -> Iterator[Finding]:
    """Look at the packages that this one always needs."""
    missing, other = _lacking("")
    yield from _of_packages("packages", missing, other, "make all", stops=True)


def extras() -> Iterator[Finding]:
    """Look at packages that some commands need."""
    for extra in metadata(NAME).get_all("Provides-Extra") or []:
        missing, other = _lacking(extra)
        needed_by = EXTRAS.get(extra, f"what takes {NAME}[{extra}]")
        yield from _of_packages(f"extra {extra}", missing, other, needed_by, stops=False)


def _of_packages(
    what: str, missing: list[Requirement], other: list[Requirement], needed_by: str, stops: bool
) -> Iterator[Finding]:
    if not missing and not other:
        yield Finding(what, "ok", "all there", needed_by)
        return
    found = [f"{one.name} is not installed" for one in missing]
    found += [f"{one.name} is {version(one.name)}, not {one.specifier}" for one in other]
    mend = pip_install(*(f"{one.name}{one.specifier}" for one in [*missing, *other]))
    state: State = "broken" if other else "missing"
    yield Finding(what, state, "; ".join(found), needed_by, mend, stops)


def _lacking(extra: str) -> tuple[list[Requirement], list[Requirement]]:
    """Return the requirements that are not there, and those that have another version.

    Args:
        extra: Whose requirements; empty: what is always required.
    """
    missing, other = [], []
    for text in requires(NAME) or []:
        one = Requirement(text)
        if not _belongs(one, extra):
            continue
        try:
            if not one.specifier.contains(version(one.name), prereleases=True):
                other.append(one)
        except PackageNotFoundError:
            missing.append(one)
    return missing, other


def _belongs(requirement: Requirement, extra: str) -> bool:
    """Return whether ``requirement`` is one of ``extra``, or of none, on this machine."""
    marker = requirement.marker
    always = marker is None or marker.evaluate({"extra": ""})
    if not extra:
        return always
    return marker is not None and not always and marker.evaluate({"extra": extra})


def commands() -> Iterator[Finding]:
    """Look for the commands that jobs call."""
    folder = Path(sys.executable).parent
    missing = [name for name in COMMANDS if not (folder / name).exists()]
    if missing:
        found = f"no {', no '.join(missing)} in {folder}"
        yield Finding("commands", "missing", found, "every job", again(), stops=True)
    else:
        yield Finding("commands", "ok", f"{' and '.join(COMMANDS)} in {folder}", "every job")


def cuda_of_torch() -> str | None:
    """Return the version of CUDA that torch is built for; None: for processors alone, or absent."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    built: dict[str, Any] = runpy.run_path(str(Path(spec.origin).with_name("version.py")))
    cuda: str | None = built.get("cuda")
    return cuda


def torch_build() -> Iterator[Finding]:
    """Say what torch is built for; whether it is there is a matter of ``packages``."""
    if find_spec("torch") is not None:
        cuda = cuda_of_torch()
        build = f"built for CUDA {cuda}" if cuda else "built for processors alone"
        yield Finding("torch", "ok", f"{version('torch')}, {build}", "everything")


def snakemake_plugins() -> Iterator[Finding]:
    """Look for the plugin that the default profile names; those of other profiles are extras."""
    if find_spec(LOGGER) is None:
        problem = f"there is no {LOGGER}"
        yield Finding("Snakemake plugins", "missing", problem, "make all", again(), stops=True)
    else:
        yield Finding("Snakemake plugins", "ok", "live view of runs", "make all")
