"""Which letters names, titles and other text may hold, and how LaTeX and terminals print them."""
# ruff: noqa: RUF001  (the letters that look like others are the point)

import re
import unicodedata
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from bitswitch.errors import shown

LONGEST_NAME = 60
"""Letters; three names, a bit set and a suffix still make a file name (255 bytes)."""
LONGEST_TITLE = 120
LONGEST_REMARK = 400

_GREEK = {
    chr(code): rf"$\{name}$"
    for start, names in {
        0x3B1: "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi - pi rho "
        "- sigma tau upsilon phi chi psi omega",
        0x391: "- - Gamma Delta - - - Theta - - Lambda - - Xi - Pi - - Sigma - Upsilon Phi - Psi "
        "Omega",
    }.items()
    for code, name in enumerate(names.split(), start)
    if name != "-"
}

LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "→": r"$\to$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "○": r"$\circ$",
    "∞": r"$\infty$",
    "∇": r"$\nabla$",
    "μ": r"$\mu$",
    "–": "--",
    "—": "---",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
    "€": r"\texteuro{}",
    **_GREEK,
}  # fmt: skip
"""How LaTeX prints what it would not print as it is."""

_BARE = re.compile("[ -~¡-¬®-ĥĨ-ķĹ-ľŁ-ňŊ-ťŨ-ž]")
"""Letters that the T1 fonts have."""

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that reverse the order in which text is shown."""


def latex(letter: str) -> str | None:
    r"""Return how LaTeX prints ``letter``, or its nearest plain relative; None if it has neither.

    >>> latex("_"), latex("ü"), latex("ﬁ"), latex("漢")
    ('\\_', 'ü', 'fi', None)
    """
    if letter in LATEX or _BARE.match(letter):
        return LATEX.get(letter, letter)
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return "".join(LATEX.get(one, one) for one in plain if one.isprintable()) or None


def unreadable(text: str, allowed: str = "") -> str | None:
    """Return what in ``text`` moves the cursor, reverses the line or is half a character, if any.

    >>> unreadable("a" + chr(27) + "[2J")
    'the control character U+001B'
    """
    kinds = {"Cc": "the control character", "Cs": "half a character,"}
    for letter in text:
        kind = "the direction mark" if letter in _BIDI else kinds.get(unicodedata.category(letter))
        if kind and letter not in allowed:
            return f"{kind} U+{ord(letter):04X}"
    return None


def _printable(text: str) -> str:
    """Return ``text``, composed, if page, document, figure and terminal all show it as it is."""
    text = unicodedata.normalize("NFC", text)
    odd = unreadable(text)
    if odd:
        raise ValueError(f"{shown(text)!r} holds {odd}")
    lost = next((letter for letter in text if latex(letter) is None), None)
    if lost:
        raise ValueError(
            f"'{lost}' (U+{ord(lost):04X}) is a letter that the report cannot print: "
            f"write Latin or Greek letters"
        )
    if not text.strip() or text.startswith("_"):
        raise ValueError(f"{shown(text)!r} is no title: begin with a letter, figures hide others")
    return text


Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=LONGEST_NAME)]
"""A name that is also part of file names."""
Title = Annotated[str, Field(max_length=LONGEST_TITLE), AfterValidator(_printable)]
"""What tables and figures print of something: one line."""
Remark = Annotated[str, Field(max_length=LONGEST_REMARK), AfterValidator(_printable)]
"""A sentence in a note."""


def duration(seconds: float) -> str:
    """Return a time in its natural unit, below ten seconds with two digits.

    >>> [duration(seconds) for seconds in (0.0002, 0.25, 42, 90, 9000, 200_000)]
    ['<10 ms', '0.25 s', '42 s', '1.5 min', '2.5 h', '2.3 d']
    """
    if seconds < 10:
        return f"{seconds:.2g} s" if seconds >= 0.01 else "<10 ms"
    for size, unit, least in ((86400, "d", 172_800), (3600, "h", 3600), (60, "min", 60)):
        if seconds >= least:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a line for each of ``rows``, with columns below each other.

    >>> aligned([("what", "time"), ("a", "1.0 s")])
    ['what  time', 'a     1.0 s']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
