"""A figure as SVG that a page can hold: text as text, colours of the page, values to point at.

What matplotlib writes is four times as long as it needs to be: places are relative ones on a grid
that is finer than a screen shows, looks that are used again are classes, names are short, and what
is drawn in many places is the marker of one path through them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from string import ascii_lowercase
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement
from xml.sax.saxutils import escape, quoteattr
from zlib import crc32

from bitswitch.report.figures.points import Point, compressed
from bitswitch.report.figures.svg_paths import DIGITS, coarse, relative

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

PLACES = {"x": DIGITS, "y": DIGITS, "width": DIGITS, "height": DIGITS, "transform": DIGITS + 1}
"""Attributes of numbers, besides paths, and their digits behind the point."""

SHAPES = 2
"""Digits behind the point of what is drawn many times, e.g. markers: it is small."""

MANY = 4
"""Copies of one look that are worth a marker."""

_LEFT_OUT = ("metadata", "style")


Look = tuple[str, str]
"""What is copied, and its style."""


def inlined(drawn: str, name: str, title: str, points: Iterable[Point], about: str = "") -> str:
    """Return an SVG element that may stand beside others in one page, or alone in a file.

    Args:
        drawn: SVG as matplotlib writes it, text as text.
        name: Of the figure; no other has it. All identifiers begin with a checksum of it.
        title: What it shows.
        points: Places with a text for whoever points at them.
        about: How to read it, for those who cannot see it.
    """
    root = ElementTree.fromstring(drawn)
    width, height = (float(size) for size in root.attrib["viewBox"].split()[2:])
    scope = f"s{crc32(name.encode()):x}"
    _strip(root)
    _rename(root, scope)
    for element in root.iter():
        _shorten(element)
    _mark(root, scope)
    shapes = {path for defined in root.iter("defs") for path in defined.iter("path")}
    for path in root.iter("path"):
        if line := path.get("d"):  # an empty one has none
            path.set("d", relative(line, SHAPES if path in shapes else DIGITS))
    _unwrap(root)
    rules = _classed(root, scope)
    content = "".join(ElementTree.tostring(child, encoding="unicode") for child in root)
    content = content.replace(" />", "/>")
    told = "".join(
        f"<g data-tip={quoteattr(tip)} data-at={quoteattr(places)}/>\n"
        for tip, places in compressed(points, width, height)
    )
    described = f"<desc>{escape(about)}</desc>" if about else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{scope}" '
        f'viewBox="0 0 {width:g} {height:g}" role="group" aria-label={quoteattr(title)} '
        f'fill="currentColor" font-family="{FONTS}" stroke-linejoin="round">\n'
        f"<title>{escape(title)}</title>{described}\n<style>{rules}</style>\n"
        f'<g aria-hidden="true">{content}</g>\n'
        f'<g class="points" fill-opacity="0">\n{told}</g>\n</svg>\n'
    )


def _strip(root: Element) -> None:
    """Remove namespaces, what describes the file, and space between elements."""
    for element in root.iter():
        element.tag = _local(element.tag)
        attributes = {_local(key): value for key, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update(attributes)
        for child in [one for one in element if _local(one.tag) in _LEFT_OUT]:
            element.remove(child)
        if not (element.text or "").strip():
            element.text = None
        element.tail = None


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _rename(root: Element, scope: str) -> None:
    """Give short names to what is used, and none to what is not."""
    used: dict[str, str] = {}

    def renamed(found: str) -> str:
        return used.setdefault(found, f"{scope}-{len(used)}")

    for element in root.iter():
        if (target := element.get("href", "")).startswith("#"):
            element.set("href", f"#{renamed(target[1:])}")
        if clip := element.get("clip-path"):
            element.set("clip-path", f"url(#{renamed(clip[5:-1])})")
    for element in root.iter():
        if (found := element.attrib.pop("id", None)) in used:
            element.set("id", used[found])


def _shorten(element: Element) -> None:
    """Shorten the look and the place of one element."""
    for key in PLACES.keys() & element.attrib:
        element.set(key, coarse(element.attrib[key], PLACES[key]))
    if element.get("transform", "").startswith(("rotate(0 ", "rotate(-0 ")):
        del element.attrib["transform"]
    if style := element.get("style"):
        element.set("style", _look(style, is_copy=element.tag == "use"))


def _look(style: str, is_copy: bool) -> str:
    """Return a look in the colours of the page.

    Args:
        style: As matplotlib writes it.
        is_copy: Of something that is used, which has its own strokes.
    """
    kept = []
    for part in style.split(";"):
        key, _, value = (text.strip() for text in part.partition(":"))
        if not key or key == "font-family" or (is_copy and key.startswith("stroke")):
            continue
        for colour, own in COLOURS.items():
            value = value.replace(colour, own)
        kept.append(f"{key}:{coarse(value)}")
    return ";".join(kept)


def _mark(root: Element, scope: str) -> None:
    """Draw many copies in a row as markers of a path that leads from one to the next."""
    markers: dict[Look, str] = {}
    for group in [one for one in root.iter() if one.find("use") is not None]:
        shown: list[Element] = []
        for look, found in groupby(list(group), key=_look_of_copy):
            copies = list(found)
            if look and len(copies) >= MANY:
                name = markers.setdefault(look, f"{scope}-m{len(markers)}")
                copies = [_path_through(copies, name)]
            shown += copies
        group[:] = shown
    defined = SubElement(root, "defs") if markers else root
    for (target, style), name in markers.items():
        about = {"id": name, "overflow": "visible", "markerUnits": "userSpaceOnUse"}
        marker = SubElement(defined, "marker", about | ({"style": style} if style else {}))
        SubElement(marker, "use", {"href": target})


def _look_of_copy(element: Element) -> Look | None:
    """Return what is copied and in which style; None of anything that is more than that."""
    if element.tag != "use" or element.attrib.keys() - {"href", "x", "y", "style"}:
        return None
    return element.attrib["href"], element.get("style", "")


def _path_through(copies: Iterable[Element], marker: str) -> Element:
    """Return a path that is not seen itself, with a marker wherever a copy stood."""
    places = (f"{one.get('x', '0')} {one.get('y', '0')}" for one in copies)
    look = {"fill": "none", "style": f"marker:url(#{marker})"}
    return Element("path", {"d": "M" + "L".join(places), **look})


def _unwrap(parent: Element) -> None:
    """Let what stands in groups that say nothing stand by itself."""
    for child in parent:
        _unwrap(child)
    parent[:] = [one for child in parent for one in _opened(child)]


def _opened(child: Element) -> Iterator[Element]:
    if child.tag != "g" or child.attrib:
        yield child
    else:
        yield from child


def _classed(root: Element, scope: str) -> str:
    """Turn looks that are used again into classes; return the rules for them.

    Args:
        root: Whose elements are changed.
        scope: Identifier of what the rules are for.
    """
    looks = Counter(style for element in root.iter() if (style := element.get("style")))
    again = (style for style, count in looks.most_common() if count > 1)
    names = {style: _letters(at) for at, style in enumerate(again)}
    for element in root.iter():
        style = element.attrib.pop("style", "")
        if style in names:
            element.set("class", names[style])
        elif style:
            element.set("style", style)
    for group in root.iter("g"):
        if "class" not in group.attrib and len({one.get("class") for one in group}) == 1:
            _lift(group)
    return "".join(f"#{scope} .{name}{{{style}}}" for style, name in names.items())


def _lift(group: Element) -> None:
    """Give the look that all elements of a group share to the group."""
    look = group[0].get("class")
    if look and all(one.tag == "use" for one in group):
        group.set("class", look)
        for one in group:
            del one.attrib["class"]


def _letters(number: int) -> str:
    """Return a, b, ..., z, ba, bb, ... for 0, 1, ..."""
    rest, last = divmod(number, len(ascii_lowercase))
    return (_letters(rest) if rest else "") + ascii_lowercase[last]
