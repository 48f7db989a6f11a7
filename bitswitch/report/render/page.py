"""Print tables and documents as HTML."""

from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bitswitch.report.render.assets import asset
from bitswitch.report.render.rows import bits, rows
from bitswitch.report.render.table import Entry, Table

EARLY = "scripts/theme.js"
"""Runs before anything is shown."""

LIBRARIES = ("vendor/sortable-tablesort/sortable.js",)
"""See ``report/html/vendor/README.md``."""

SCRIPTS = ("bubble", "cells", "points", "sorting", "filters", "copying", "printing", "pages")
"""In the order in which they run; each does nothing where a page has nothing for it."""


def render(template: str, **content: Any) -> str:
    """Return a template below ``report/`` filled in; every value is escaped unless ``Markup``."""
    environment = Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        loader=FileSystemLoader(asset(".")),
    )
    return environment.get_template(template).render(**content)


def document(template: str, **content: Any) -> str:
    """Return a page of its own, which loads nothing: a template that extends ``layout.html.j2``."""
    scripts = (*LIBRARIES, *(f"scripts/{name}.js" for name in SCRIPTS))
    return render(
        f"html/{template}",
        style=_asset("style.css"),
        early=_asset(EARLY),
        scripts=Markup("\n").join(map(_asset, scripts)),
        **content,
    )


def table(content: Table) -> str:
    """Return ``content`` as an HTML ``figure`` element without style."""
    return render("tables/table.html.j2", table=content, rows=rows, bits=bits, behind=_behind)


def _asset(name: str) -> Markup:
    """Return a file of ``report/html/``, as it is."""
    return Markup(asset("html", *name.split("/")).read_text(encoding="utf-8"))


def _behind(entry: Entry) -> Markup:
    """Return the attributes by which a script tells what is behind a cell."""
    if entry.detail is None:
        return Markup()
    about = entry.detail
    values = "|".join(f"{one.name};{one.text};{one.run}" for one in about.values)
    told = {"n": about.count, "interval": about.interval, "values": values}
    return Markup().join(
        Markup(' data-{}="{}"').format(name, text) for name, text in told.items() if text
    )
