"""Whether the datasets of suites are ready."""

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bitswitch.assets import asset
from bitswitch.doctor.finding import Finding
from bitswitch.doctor.settings import setting
from bitswitch.runtime.cache import digest
from bitswitch.suite.base import content_of, lineage
from bitswitch.suite.suite import suite_path

SUITES = Path("config/suites")
READY = Path("results/data")
"""Where the workflow notes what the check of a dataset found, by data folder."""
MADE_UP = "made-up"
"""What a suite says of data that are noise; facts about them say so too."""


def findings() -> Iterator[Finding]:
    """Look at the datasets of all suites, those of this folder and those of the package."""
    data = Path(setting("data", "data")).expanduser()
    needed: dict[tuple[str, bool], list[str]] = {}
    embedded = []
    for path in _suites():
        content = content_of(lineage(path, suite_path))
        if content.get("data") == "embedded":
            embedded.append(path.stem)
            continue
        for name in _datasets(content):
            needed.setdefault((name, content.get("data") == MADE_UP), []).append(path.stem)
    if embedded:
        found = f"suites {', '.join(embedded)} make theirs"
        yield Finding("data", "ok", found, "make all")
    for (name, made_up), suites in sorted(needed.items()):
        yield _of_dataset(name, made_up, suites, data)


def _of_dataset(name: str, made_up: bool, suites: list[str], data: Path) -> Finding:
    """Return whether the check of dataset ``name`` below ``data`` was passed.

    Args:
        name: Of the dataset.
        made_up: Whether noise in its format is meant.
        suites: That need it.
        data: Folder of the datasets.
    """
    what = f"data {name}" + (", made up" if made_up else "")
    needed_by = f"suite{'s' if len(suites) > 1 else ''} {', '.join(suites)}"
    ready = READY / digest(os.path.normpath(data))[:8]
    notes = [*ready.glob(f"{name}.json"), *ready.glob(f"{name}-*.json")]
    if any(('"made_up"' in note.read_text()) == made_up for note in notes):
        return Finding(what, "ok", f"passed its check below {data}", needed_by)
    verb, folder = ("fake", "--to") if made_up else ("prepare", "--data")
    mend = shlex.join(["bitswitch", "data", verb, "--suite", suites[0], folder, str(data)])
    return Finding(
        what, "missing", f"not prepared below {data}/, or not checked there", needed_by, mend
    )


def _suites() -> list[Path]:
    """Return the files of suites; one of this folder hides one of the package."""
    folders = (asset("config", "suites"), SUITES)
    found = {path.stem: path for folder in folders for path in folder.glob("*.yaml")}
    return [found[name] for name in sorted(found)]


def _datasets(suite: Mapping[str, Any]) -> set[str]:
    """Return the names of the datasets of networks; those of a damaged suite are none."""
    networks = suite.get("networks", {}).values()
    chosen = (network.get("dataset") for network in networks)
    names = (one.get("name") if isinstance(one, dict) else one for one in chosen)
    return {name for name in names if isinstance(name, str)}
