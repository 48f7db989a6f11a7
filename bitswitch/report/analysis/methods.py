"""What a reader must know of each method before comparing rows: from the methods' cards."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from bitswitch.report.analysis.health import Fact
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render import references

FIDELITY = {
    "vectors": "agrees with the published code, array by array",
    "equations": "built from the publication alone",
    "partial": "incomplete",
}

STORAGE = {
    "codes": "the widest integer weights and their scales",
    "floats": "float32 weights",
    "tables": "labels of the widest bit-width, and tables of values for every bit-width",
}
"""What has to be kept to run at every bit-width."""

Card = Mapping[Any, Any]
"""A row of ``methods.csv``; an empty text where the card says nothing."""


class About(NamedTuple):
    """One method, ready to be printed."""

    name: str
    """Of the plugin."""
    title: str
    source: str
    """Citation key."""
    citation: str
    is_cited: bool
    """Whether the bibliography has ``source``."""
    facts: list[Fact]


def listed(frames: Frames) -> list[About]:
    """Return every method of the suite, in the order of its experiments."""
    return [
        About(
            name=name,
            title=card["title"],
            source=card["source"],
            citation=references.citation(card["source"]),
            is_cited=references.is_known(card["source"]),
            facts=[fact for fact in _facts(card) if fact.text],
        )
        for name, card in frames.cards.items()
    ]


def source(frames: Frames, method: str) -> str:
    """Return the citation key of ``method``; an empty text where it is not known."""
    return str(frames.cards.get(method, {}).get("source", ""))


def caveat(frames: Frames, method: str, storage: str) -> str:
    """Return what a row of ``method`` must say of itself; nothing where it follows public code.

    Args:
        frames: With the cards.
        method: Name of its plugin.
        storage: What has to be kept with the options of that row.
    """
    card = frames.cards.get(method)
    if card is None or card["fidelity"] == "vectors":
        return ""
    parts = (
        f"{card['title']}: {FIDELITY[card['fidelity']]}",
        f"keeps {STORAGE[storage]}",
        card["missing"] and f"missing: {card['missing']}",
        card["deviations"] and f"differs: {card['deviations']}",
    )
    return "; ".join(part.rstrip(". ") for part in parts if part)


def _facts(card: Card) -> list[Fact]:
    """Return what a card says, under the titles that are printed."""
    return [
        Fact("fidelity", FIDELITY[card["fidelity"]]),
        Fact("needs", f"{STORAGE[card['storage']]}, to run at every bit-width"),
        Fact("first and last layer", _first_last(card["first_last_bits"])),
        Fact("original code", card["licence"]),
        Fact("left open", card["left_open"]),
        Fact("deviations", card["deviations"]),
        Fact("missing", card["missing"]),
        *(
            Fact(f"published recipe, {dataset}", _recipe(recipe))
            for dataset, recipe in json.loads(card["published_recipes"] or "{}").items()
        ),
    ]


def _first_last(bits: Any) -> str:
    """Return the bit-width of first and last layer, empty in ``methods.csv`` where float."""
    return f"{int(bits)} bits" if bits != "" else "full precision"


def _recipe(recipe: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the settings of a recipe, those of the method last.

    >>> _recipe({"training": {"epochs": 200, "alrs": {"variant": "clamped"}}, "options": {}})
    'epochs 200, alrs.variant clamped'
    """
    return ", ".join(
        f"{key} {value}"
        for part in ("training", "options")
        for key, value in _settings(recipe.get(part, {}))
    )


def _settings(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the leaves of nested settings with dotted names."""
    found = []
    for key, value in content.items():
        if isinstance(value, Mapping):
            found += [(f"{key}.{inner}", text) for inner, text in _settings(value)]
        else:
            found.append((key, _text(value)))
    return found


def _text(value: Any) -> str:
    """Return one setting.

    >>> _text([1 / 3, 0.5]), _text(False)
    ('0.333333 0.5', 'False')
    """
    if isinstance(value, list | tuple):
        return " ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
