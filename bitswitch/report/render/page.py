"""Print tables and documents as HTML."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bitswitch.report.render.assets import asset
from bitswitch.report.render.behind import Behind
from bitswitch.report.render.rows import bits, rows
from bitswitch.report.render.table import Table

EARLY = "scripts/theme.js"
"""Runs before anything is shown."""

LIBRARIES = ("vendor/sortable-tablesort/sortable.js",)
"""See ``report/html/vendor/README.md``."""

SCRIPTS = (
    *("bubble", "jobs", "cells", "points", "sorting", "filters", "copying", "printing", "pages"),
    "watching",
)
"""In the order in which they run; each does nothing where a page has nothing for it."""

OF_RUNS = ("here", "bubble", "points")
"""Of pages of runs, which are many."""


def render(template: str, **content: Any) -> str:
    """Return a template below ``report/`` filled in; every value is escaped unless ``Markup``."""
    return _environment().get_template(template).render(**content)


@cache
def _environment() -> Environment:
    """Return what knows the templates, each read once."""
    return Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        loader=FileSystemLoader(asset(".")),
    )


def document(template: str, scripts: Sequence[str] = SCRIPTS, **content: Any) -> str:
    """Return a page of its own, which loads nothing.

    Args:
        template: One that extends ``layout.html.j2``.
        scripts: Names of those that it needs.
        content: Of the template.
    """
    libraries = LIBRARIES if scripts == SCRIPTS else ()
    files = (*libraries, *(f"scripts/{name}.js" for name in scripts))
    return render(
        f"html/{template}",
        style=_asset("style.css"),
        early=_asset(EARLY),
        scripts=Markup("\n").join(map(_asset, files)),
        **content,
    )


def table(content: Table) -> str:
    """Return ``content`` as an HTML ``figure`` element without style."""
    return render(
        "tables/table.html.j2", table=content, rows=rows, bits=bits, behind=Behind.of(content)
    )


@cache
def _asset(name: str) -> Markup:
    """Return a file of ``report/html/``, as it is."""
    return Markup(asset("html", *name.split("/")).read_text(encoding="utf-8"))
