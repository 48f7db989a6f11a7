"""A figure as SVG that a page can hold: text as text, colours of the page, values to point at."""

import re
from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from bitswitch.report.figures.points import Point

COLOURS = {
    "#000000": "currentColor",
    "#333333": "currentColor",
    "#ffffff": "none",
    "#666666": "var(--soft, #666666)",
    "#e2e2e2": "var(--line, #e2e2e2)",
    "#0072b2": "var(--blue, #0072b2)",
}
"""What follows the page, so that a figure is legible on a dark one."""

FONTS = "DejaVu Sans, Verdana, sans-serif"
"""Verdana has the same widths."""

RADIUS = 3.5
"""Of what can be pointed at, in points."""

_INSIDE = re.compile(r"<svg [^>]*viewBox=\"0 0 ([\d.]+) ([\d.]+)\"[^>]*>(.*)</svg>", re.DOTALL)
_LEFT_OUT = re.compile(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", re.DOTALL)
_IDENTIFIER = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'(url\(#|href="#)([^")]+)')
_COLOUR = re.compile("|".join(COLOURS))
_FONT = re.compile(r"; font-family: 'DejaVu Sans'")
_USED = re.compile(r"<use [^>]*>")
_STROKE = re.compile(r"stroke[a-z-]*: [^;\"]*(?:; )?")
"""What is used has it of its own."""
_LONG = re.compile(r"-?\d+\.\d{3,}")
_STYLE = re.compile(r'style="[^"]*"')
_UNTURNED = re.compile(r' transform="rotate\(-?0 [^)]*\)"')
_SPACE = re.compile(r"\s*\n\s*")


def inlined(drawn: str, name: str, title: str, points: Iterable[Point]) -> str:
    """Return an SVG element that may stand beside others in one page, or alone in a file.

    Args:
        drawn: SVG as matplotlib writes it, text as text.
        name: Of the figure; no other has it. All identifiers begin with it.
        title: What it shows.
        points: Places with a text for whoever points at them.
    """
    found = _INSIDE.search(drawn)
    assert found is not None, "matplotlib writes an SVG element with a viewBox"
    width, height, content = float(found[1]), float(found[2]), _LEFT_OUT.sub("", found[3])
    used = {target for _, target in _REFERENCE.findall(content)}
    content = _IDENTIFIER.sub(
        lambda one: f' id="{name}-{one[1]}"' if one[1] in used else "", content
    )
    content = _REFERENCE.sub(rf"\g<1>{name}-\g<2>", content)
    content = _COLOUR.sub(lambda one: COLOURS[one[0]], content)
    content = _FONT.sub("", content).replace("xlink:href", "href")
    content = _USED.sub(lambda one: _STROKE.sub("", one[0]), content)
    content = _LONG.sub(lambda one: f"{float(one[0]):.2f}", content)
    content = _SPACE.sub("\n", _UNTURNED.sub("", content))
    content = _STYLE.sub(lambda one: one[0].replace("; ", ";").replace(": ", ":"), content)
    targets = "".join(
        f'<circle cx="{width * one.x:.1f}" cy="{height * one.y:.1f}" r="{RADIUS}" '
        f"data-tip={quoteattr(one.text)}/>\n"
        for one in points
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="group" '
        f'aria-label={quoteattr(title)} fill="currentColor" font-family="{FONTS}" '
        f'stroke-linejoin="round">\n'
        f'<title>{escape(title)}</title><g aria-hidden="true">{content}</g>'
        f'<g class="points" fill-opacity="0">\n{targets}</g>\n</svg>\n'
    )
