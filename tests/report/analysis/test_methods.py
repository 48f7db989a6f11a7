"""Tests of ``bitswitch.report.analysis.methods``."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bitswitch.report.analysis import methods
from bitswitch.report.collect import collect
from bitswitch.report.collect.columns import METHODS
from bitswitch.report.collect.frames import Frames, frame
from tests.report.conftest import make_card, make_shared

RECIPE = {"training": {"epochs": 9, "alrs": {"variant": "clamped"}}, "options": {"steps": [1, 2]}}


def make_frames(frames: Frames, **changes: object) -> Frames:
    card = (
        make_card("kure")
        | {"method": "kure", "published_recipes": None, "first_last_bits": None}
        | changes
    )
    return replace(frames, methods=frame([card], METHODS))


@pytest.fixture
def frames(folder: Path) -> Frames:
    return Frames.read(folder)


def test_every_method_of_a_suite_is_listed_in_order(results: Path):
    frames = collect.collect(make_shared("table2", "resnet18"), results)
    assert [about.name for about in methods.listed(frames)] == [
        "zero-step",
        "bit-mixer",
        "vertical-layer",
        "double-rounding",
        "adabits",
        "double-rounding-unshared",
        "q-dnn",
        "abn",
    ]


def test_a_card_says_everything_but_nothing_twice(frames: Frames):
    changes = {
        "first_last_bits": 8,
        "published_recipes": json.dumps({"imagenet": RECIPE}),
        "missing": "A part.",
    }
    (about,) = methods.listed(make_frames(frames, **changes))
    assert dict(about.facts) == {
        "fidelity": "built from the publication alone",
        "needs": "float32 weights, to run at every bit-width",
        "first and last layer": "8 bits",
        "original code": "MIT",
        "left open": "The initial scale is not given.",
        "deviations": "None of its bugs.",
        "missing": "A part.",
        "published recipe, imagenet": "epochs 9, alrs.variant clamped, steps 1 2",
    }
    assert (about.citation, about.is_cited) == ("kure2020", False)


def test_what_a_card_does_not_say_is_left_out(frames: Frames):
    (about,) = methods.listed(make_frames(frames, left_open=None, deviations=None))
    titles = [fact.title for fact in about.facts]
    assert titles == ["fidelity", "needs", "first and last layer", "original code"]
    assert dict(about.facts)["first and last layer"] == "full precision"


def test_caveats_are_for_methods_that_do_not_follow_public_code(frames: Frames):
    made = make_frames(frames, fidelity="partial", missing="The search.", deviations="")
    assert methods.caveat(made, "kure", "floats") == (
        "Kure: incomplete; keeps float32 weights; missing: The search"
    )
    assert methods.caveat(make_frames(frames, fidelity="vectors"), "kure", "codes") == ""
    assert methods.caveat(make_frames(frames), "unheard-of", "codes") == ""


def test_cards_survive_their_file(frames: Frames, folder: Path):
    path = folder / "methods.csv"
    before = path.read_bytes()
    frames.write(folder)
    assert path.read_bytes() == before
    assert pd.read_csv(path).method.tolist() == ["double-rounding"]
