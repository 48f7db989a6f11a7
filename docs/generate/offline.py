"""Find what a page would load from elsewhere; links that a reader follows are no requests."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

LOADED = {
    ("audio", "src"),
    ("embed", "src"),
    ("iframe", "src"),
    ("image", "href"),
    ("img", "src"),
    ("img", "srcset"),
    ("object", "data"),
    ("script", "src"),
    ("source", "src"),
    ("source", "srcset"),
    ("use", "href"),
    ("video", "poster"),
    ("video", "src"),
}
"""Attributes of elements that a browser loads by itself."""
RELATIONS = {
    "dns-prefetch",
    "icon",
    "manifest",
    "modulepreload",
    "preconnect",
    "prefetch",
    "preload",
    "stylesheet",
}
"""Of ``link`` elements; others name pages."""
ELSEWHERE = re.compile(r"(?:\w+:)?//")
IN_STYLE = re.compile(r"""(?:url\(|@import)\s*["']?((?:\w+:)?//[^"')\s;]+)""")


class _Page(HTMLParser):
    """Collects what one page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        is_loaded = tag == "link" and RELATIONS & set(given.get("rel", "").split())
        for name, value in given.items():
            if name == "style":
                self.found += IN_STYLE.findall(value)
            elif ((tag, name) in LOADED or (is_loaded and name == "href")) and ELSEWHERE.match(
                value
            ):
                self.found.append(value)
        if "mermaid" in given.get("class", "").split():
            self.found.append("a script for diagrams (class mermaid)")

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.found += IN_STYLE.findall(data)


def in_page(text: str) -> list[str]:
    """Return what a page loads from elsewhere."""
    page = _Page()
    page.feed(text)
    return page.found


def requests(site: Path) -> list[str]:
    """Return a line for every page or style sheet of a site and what it loads from elsewhere."""
    return [f"{path.relative_to(site)}: {asked}" for path, asked in _asked(site)]


def _asked(site: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(site.rglob("*.html")):
        yield from ((path, asked) for asked in in_page(path.read_text()))
    for path in sorted(site.rglob("*.css")):
        yield from ((path, asked) for asked in IN_STYLE.findall(path.read_text()))
