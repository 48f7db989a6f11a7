"""Start a suite of one's own in a folder of its own, where bitswitch is installed."""

import re
import tempfile
from pathlib import Path

from bitswitch.assets import asset
from bitswitch.errors import SpecError
from bitswitch.scaffold.package import NAME, filled
from bitswitch.suite.suite import RESERVED

SETTINGS, PROFILES = "config/config.yaml", Path("profiles")
"""Taken over from the package."""


def new_project(name: str, into: Path) -> list[Path]:
    """Write a Snakefile, settings, the small suite ``name`` and a README; return what was written.

    Nothing is overwritten: either all files are written or none.

    Args:
        name: Of the suite.
        into: Folder, which may hold other files.

    Raises:
        SpecError: a name that no suite can have, or a file that is there already.
    """
    if not NAME.fullmatch(name) or name in RESERVED:
        raise SpecError(
            f"'{name}' cannot be the name of a suite.\n"
            f"  Use lower-case letters, digits and single hyphens, a letter first, say my-suite; "
            f"not {', '.join(RESERVED)}."
        )
    files = rendered(name)
    taken = [path for path in files if (into / path).exists()]
    if taken:
        raise SpecError(
            f"{into / taken[0]} exists and is left alone; nothing was written.\n"
            f"  Start in an empty folder. A further suite is one more file in config/suites/."
        )
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bitswitch-init.", dir=into) as draft:
        for path, content in files.items():
            written = Path(draft, path)
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(content)
        for path in files:
            (into / path).parent.mkdir(parents=True, exist_ok=True)
            Path(draft, path).rename(into / path)
    return [into / path for path in files]


def rendered(name: str) -> dict[str, str]:
    """Return the files of a project with the suite ``name``: path to content."""
    settings = asset(SETTINGS).read_text()
    profiles = asset(str(PROFILES))
    return {
        **filled("project", {"name": name}),
        SETTINGS: re.sub(r"^suite: .*$", f"suite: {name}", settings, flags=re.MULTILINE),
        **{
            str(PROFILES / path.relative_to(profiles)): path.read_text()
            for path in sorted(profiles.glob("*/*.yaml"))
        },
    }
