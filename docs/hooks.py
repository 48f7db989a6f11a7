"""What MkDocs asks while it builds the site: parts of pages that are not in ``docs/``, a check."""

import re
from pathlib import Path

from generate import api, commands, gallery, keys, offline, plugins, unmoved
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PARTS = {
    "api": api.part,
    "commands": commands.part,
    "decisions": unmoved.decisions,
    "gallery": gallery.part,
    "keys": keys.part,
    "methods": plugins.methods,
    "networks-and-datasets": plugins.networks_and_datasets,
    "searches": plugins.searches,
    "sensitivities": plugins.sensitivities,
    "tables-and-figures": plugins.tables_and_figures,
}
"""What returns the text of a part, by the name that a page has between ``build:`` and ``end``."""
PART = re.compile(r"<!-- build: ([\w-]+) -->\n(.*?)<!-- end -->", re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what stands elsewhere in the repository."""
    for place in unmoved.SOURCES:
        files.append(File.generated(config, place, content=unmoved.page(place)))
    for place, path in gallery.files().items():
        files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put made parts in the place of what stands for them, and let links lead to pages."""
    linked = unmoved.relinked(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)
    return PART.sub(lambda found: PARTS[found[1]]() or found[2], linked)


def on_post_build(config: MkDocsConfig) -> None:
    """Stop if a page would make a browser ask another machine for anything."""
    if asked := offline.requests(Path(config.site_dir)):
        raise PluginError("The site asks other machines:\n  " + "\n  ".join(asked))
