"""What Snakemake needs of the folder it works in, done while the Snakefile is read."""

from pathlib import Path

from bitswitch.store import digest

FOLDER = Path(".snakemake/bitswitch")
"""Below the working directory."""


def without_wildcards(path: Path) -> Path:
    """Return a path of the same file in which Snakemake finds no wildcards.

    It takes braces for wildcards and knows no way to escape them. So the path is relative where
    it can be, and leads through a link where braces are left.
    """
    path = path.absolute()
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    if "{" not in str(path):
        return path
    link = FOLDER / "links" / digest(str(path.absolute()))
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(path.absolute())
    return link
