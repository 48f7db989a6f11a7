"""The gallery: every table and figure of the reference results, once they have been rendered."""

import re
from pathlib import Path

from . import TOP

RENDERED = TOP / "results" / "expected" / "mini"
"""What ``make docs`` renders."""


def part() -> str:
    """Return all tables and figures, or nothing where they have not been rendered."""
    if not _is_there():
        return ""
    from bitswitch.report.collect.frames import Frames
    from bitswitch.report.figures import figures
    from bitswitch.report.tables import tables

    suite = Frames.read(RENDERED).suite
    parts = ["[The whole report](report.html){ .md-button .md-button--primary }\n"]
    parts += ["## Tables\n"]
    for name in tables.names(suite):
        text = (RENDERED / "tables" / f"{name}.html").read_text()
        parts += [f"### {_title(text)} {{ #{name} }}\n", _one_block(text) + "\n"]
    parts += ["## Figures\n"]
    for name, drawn in figures.of(suite).items():
        parts += [f"### {drawn.title} {{ #{name} }}\n", f"![{drawn.title}](figures/{name}.png)\n"]
        parts += [f"{drawn.caption}\n", f"[As PDF](figures/{name}.pdf)\n"]
    return "\n".join(parts)


def files() -> dict[str, Path]:
    """Return what the page shows or links, by place."""
    if not _is_there():
        return {}
    drawn = sorted((RENDERED / "figures").glob("*.p[dn]*"))
    return {
        "gallery/report.html": RENDERED / "report.html",
        **{f"gallery/figures/{path.name}": path for path in drawn},
        **{f"gallery/runs/{path.name}": path for path in (RENDERED / "runs").glob("*.html")},
    }


def _is_there() -> bool:
    return (RENDERED / "report.html").exists()


def _title(text: str) -> str:
    """Return what a table is called."""
    found = re.search(r"<figcaption>(.*?)(?:<span|</figcaption>)", text, re.DOTALL)
    return " ".join(found[1].split()) if found else "Table"


def _one_block(text: str) -> str:
    """Return HTML that Markdown takes as one block: no id or title twice, no empty line."""
    text = re.sub(r'(<figure[^>]*?) id="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"(<figcaption>).*?(<span|</figcaption>)", r"\1\2", text, count=1, flags=re.S)
    return re.sub(r"\n\s*\n", "\n", text)
