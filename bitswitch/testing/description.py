"""Checks on what a method says of itself."""

import re
from typing import get_args

from bitswitch.contracts.card import Card, Fidelity, Storage
from bitswitch.errors import SpecError
from bitswitch.plugins import facts
from bitswitch.report.render.assets import asset
from bitswitch.testing.failure import CheckFailed, require
from bitswitch.testing.subject import EVERY_WIDTH, Subject, quantized, run_spec
from bitswitch.types import FLOAT_BITS, BitSet

NAMED_AFTER = ("cifar10", "imagenet")
"""Datasets that published recipes are named after."""


def card_is_complete(subject: Subject) -> None:
    """The card is complete."""
    card = getattr(type(subject.method()), "card", None)
    if not isinstance(card, Card):
        raise CheckFailed(
            "The method has no card.", "Give its class one: card = Card(title=..., ...)."
        )
    for name, value in card._asdict().items():
        require(
            isinstance(value, str), f"card.{name} is {value!r}.", "Every entry of a card is text."
        )
    for name in ("title", "licence"):
        require(
            bool(getattr(card, name).strip()),
            f"card.{name} is empty.",
            "Say it; of a licence that nobody stated, say 'no licence stated'.",
        )
    for name, known in (("fidelity", get_args(Fidelity)), ("storage", get_args(Storage))):
        require(
            getattr(card, name) in known,
            f"card.{name} is '{getattr(card, name)}'.",
            f"Use one of: {', '.join(known)}.",
        )
    require(
        (card.fidelity == "partial") == bool(card.missing),
        f"card.fidelity is '{card.fidelity}', card.missing is '{card.missing}'.",
        "'partial' says in card.missing what is missing; the others leave it empty.",
    )


def source_is_cited(subject: Subject) -> None:
    """The source is a citation key, known to the bibliography if the method is a built-in."""
    method = type(subject.method())
    key = method.source
    require(
        bool(re.fullmatch(r"[a-z0-9][a-z0-9:_-]*", key)),
        f"source is '{key}'.",
        "Give the citation key of the publication, lower-case, e.g. 'jin2020adabits'.",
    )
    if method.__module__.partition(".")[0] != "bitswitch" or key == "bitswitch":
        return
    require(
        f"{{{key}," in asset("references.bib").read_text(),
        f"source '{key}' is not in report/references.bib.",
        "Add its entry, or mend the key.",
    )


def recipes_can_be_used(subject: Subject) -> None:
    """The publication's own recipes are valid, and the method accepts them."""
    for dataset, recipe in subject.method().published_recipes.items():
        require(
            dataset in NAMED_AFTER,
            f"published_recipes has one for '{dataset}'.",
            f"Recipes are named after {' and '.join(NAMED_AFTER)}.",
        )
        try:
            spec = run_spec(
                subject.name, recipe.options, subject.bitset, subject.material, **recipe.training
            )
        except (SpecError, ValueError) as error:
            raise CheckFailed(
                f"The published recipe for '{dataset}' cannot be used: {error}",
                "Its training holds fields of TrainingSpec, its options those of Options.",
            ) from error
        reason = facts.refusal(spec)
        require(
            reason is None,
            f"The method refuses its own recipe for '{dataset}': {reason}",
            "Change the recipe or skip().",
        )
        chosen = Subject.of(subject.name, recipe.options, subject.bitset, material=subject.material)
        quantized(chosen.method())


def refusals_are_sentences(subject: Subject) -> None:
    """A refusal says why in one sentence, which stands below tables."""
    method = subject.method()
    options = subject.spec.method.options
    bitsets: tuple[BitSet, ...] = (EVERY_WIDTH, (8, 6, 4, 2), (4, 3, 2), (8,), (2,))
    for bitset in bitsets if subject.bitset != (FLOAT_BITS,) else (subject.bitset,):
        for update, distillation in (
            ("conventional", "none"),
            ("conventional", "ps-kd"),
            ("separate", "neighbour"),
        ):
            changes = {"update": update, "distillation": distillation}
            spec = run_spec(subject.name, options, bitset, subject.material, **changes)
            reason = method.skip(spec)
            require(
                reason is None or (isinstance(reason, str) and len(reason.split()) > 2),
                f"skip() answers {reason!r} for the bit-widths {list(bitset)}.",
                "Return None, or a sentence that says why the method cannot run it.",
            )
            require(
                reason is None or "\n" not in reason,
                f"skip() answers several lines for the bit-widths {list(bitset)}.",
                "Say it in one line: it becomes a footnote.",
            )


def learned_scales_are_known(subject: Subject) -> None:
    """What the method says of learned scales is what its network has: a suite asks before ALRS."""
    if subject.bitset == (FLOAT_BITS,):
        return
    method = subject.method()
    found = bool(quantized(method).scale_parameters())
    require(
        bool(method.learns_scales) == found,
        f"learns_scales is {method.learns_scales!r}, and the network has "
        f"{'learned scales' if found else 'none'}.",
        "Override the property learns_scales where single quantizers do not tell.",
    )
