"""Files that come with the package: rules, suites, experiments, templates, styles, printed numbers.

In a clone they are links to the top folder, where people read and edit them; a wheel holds the
files themselves. So a suite is run and reported alike from a clone and from an empty folder.
"""

from pathlib import Path

from bitswitch.errors import BitswitchError

_FOLDER = Path(__file__).parent


def asset(*parts: str) -> Path:
    """Return a file or folder that comes with the package, such as ``report/references.bib``.

    Args:
        parts: Of its path, below the top folder of a clone.

    Raises:
        BitswitchError: the installation lacks it.
    """
    path = _FOLDER.joinpath(*parts).resolve()
    if not path.exists():
        raise BitswitchError(
            f"This installation of bitswitch lacks {Path(*parts)}: there is no {path}.\n"
            f"  Install it again; a clone needs symbolic links (git config core.symlinks true)."
        )
    return path
