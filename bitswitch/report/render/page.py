"""Print tables and documents as HTML."""

from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bitswitch.report.render.assets import asset
from bitswitch.report.render.table import Table


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


def table(content: Table) -> str:
    """Return ``content`` as an HTML ``figure`` element without style."""
    return render("tables/table.html.j2", table=content)
