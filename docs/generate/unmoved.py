"""Pages whose text stands elsewhere in the repository, where its readers look for it; links."""

import os
import re
from pathlib import PurePosixPath

from . import TOP

SOURCES = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "examples.md": "examples/README.md",
    "reference/results.md": "results/README.md",
    "reference/settings.md": "config/README.md",
}
"""Files of the repository by the place of their page."""
LINK = re.compile(r"(!?)\[([^\]\n]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def page(place: str) -> str:
    """Return the text of the page at ``place``; its links are as in a file of ``docs/``."""
    source = SOURCES[place]
    return relinked((TOP / source).read_text(), source, place)


def relinked(text: str, source: str, place: str) -> str:
    """Return the text of file ``source`` with links as the page at ``place`` needs them.

    What is no page is named instead of linked; what is not there is left for MkDocs to find.
    """
    pages = {file: page for page, file in SOURCES.items()}
    pages |= {"README.md": "index.md", "docs/decisions": "decisions/index.md"}

    def lead(found: re.Match[str]) -> str:
        is_image, label, target, anchor = found.groups()
        file = os.path.normpath(PurePosixPath(source).parent / target)
        if ":" in target or not (TOP / file).exists():
            return found[0]
        page = pages.get(file) or file.removeprefix("docs/")
        if page == file:
            return "" if is_image else label
        to = os.path.relpath(page, PurePosixPath(place).parent)
        return f"{is_image}[{label}]({to}{anchor or ''})"

    return LINK.sub(lead, text)


def decisions() -> str:
    """Return the list of all decisions."""
    lines = []
    for path in sorted((TOP / "docs" / "decisions").glob("0*.md")):
        title = path.read_text().partition("\n")[0].removeprefix("# ")
        number, _, name = title.partition(". ")
        lines.append(f"- {number} [{name}]({path.name})")
    return "\n".join(lines) + "\n"
