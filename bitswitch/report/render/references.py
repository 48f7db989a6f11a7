"""Citations as text, from the bibliography that the document uses."""

import re
import unicodedata
from functools import cache

from bitswitch.report.render.assets import asset

BIBLIOGRAPHY = "references.bib"

_ENTRY = re.compile(r"^@\w+\{([^,\s]+),\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^\s*(\w+)\s*=\s*\{(.*?)\},?\s*$", re.MULTILINE)
_ACCENT = re.compile(r"""\\(["'`^~])\{?(\w)\}?""")
_COMBINING = {'"': "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303"}

ALL_NAMED = 3
"""Authors up to which all are named."""


def is_known(key: str) -> bool:
    """Return whether the bibliography has an entry ``key``."""
    return key in _entries()


def citation(key: str) -> str:
    """Return authors, title, place and year of an entry; ``key`` itself where there is none."""
    if not is_known(key):
        return key
    fields = _entries()[key]
    place = next((fields[name] for name in ("booktitle", "journal", "note") if name in fields), "")
    parts = (_authors(fields.get("author", "")), fields.get("title", ""), place)
    return ", ".join(part for part in (*parts, fields.get("year", "")) if part)


@cache
def _entries() -> dict[str, dict[str, str]]:
    """Return the fields of every entry, without TeX."""
    text = asset(BIBLIOGRAPHY).read_text(encoding="utf-8")
    return {
        key: {name.lower(): _plain(value) for name, value in _FIELD.findall(body)}
        for key, body in _ENTRY.findall(text)
    }


def _plain(text: str) -> str:
    r"""Return TeX as text.

    >>> _plain(r"{AdaBits}: M\"uller, a {\'E}tude")
    'AdaBits: Müller, a Étude'
    """
    text = _ACCENT.sub(lambda found: found[2] + _COMBINING[found[1]], text)
    text = text.replace("{", "").replace("}", "").replace("--", "\N{EN DASH}")
    return unicodedata.normalize("NFC", text.replace("\\&", "&"))


def _authors(printed: str) -> str:
    """Return family names.

    >>> _authors("Jin, Qing and Yang, Linjie and Liao, Zhenyu")
    'Jin, Yang and Liao'
    """
    names = [name.partition(",")[0].strip() for name in printed.split(" and ") if name.strip()]
    if len(names) > ALL_NAMED:
        return f"{names[0]} et al."
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
