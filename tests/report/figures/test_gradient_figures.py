"""Tests of ``bitswitch.report.figures.gradient_figures``."""

from pathlib import Path

import pytest

from bitswitch.report.collect.frames import Frames
from bitswitch.report.figures import gradient_figures
from bitswitch.report.figures.gradient_figures import Study
from bitswitch.suite.suite import Suite
from tests.report.conftest import ALRS, EXPERIMENTS, LAYERS, OFF, make_suite, top1_of


@pytest.fixture
def study(folder: Path) -> Study:
    return Study.of(Frames.read(folder), "alrs", "resnet20")


def test_layers_stand_in_the_order_of_the_network(study: Study):
    layers = study.per_layer("weight", "{8,6,4,2}")
    assert list(layers) == [8, 6, 4, 2]
    assert layers[2].layer.tolist() == list(LAYERS)
    assert (layers[2].mean_abs > layers[8].mean_abs).all()


def test_only_runs_without_alrs_are_shown_per_layer(study: Study):
    assert study.plain_variant == "without-alrs"
    rows = study.gradients[(study.gradients.variant == "without-alrs")]
    expected = rows.query("operand == 'weight' and bits == 2 and bitset == '{4,3,2}'")
    found = study.per_layer("weight", "{4,3,2}")[2]
    assert found.mean_abs.mean() == pytest.approx(expected.mean_abs.mean())


def test_curves_are_means_over_seeds_of_the_widest_bit_set(study: Study, suite: Suite):
    curve = study.curve("with-alrs", 2, "held_out_headline")
    runs = [c.run for c in suite.cells if c.experiment == "alrs" and c.variant == "with-alrs"]
    last = [0.875 * top1_of(run, 2) - 0.5 for run in runs if run.bitset == (8, 6, 4, 2)]
    assert curve.number.tolist() == [1, 2, 3]
    assert curve["mean"].iloc[-1] == pytest.approx(sum(last) / 3)


def test_figures_carry_suite_and_data(folder: Path):
    frames = Frames.read(folder)
    for draw in (gradient_figures.draw_overview, gradient_figures.scale_gradients("weight")):
        stamp = draw(frames, "alrs", "resnet20").texts[0].get_text()
        assert stamp.startswith("ResNet-20 · suite tiny · embedded digits 16x16")


def test_one_legend_has_every_bit_width(folder: Path):
    frames = Frames.read(folder)
    figure = gradient_figures.scale_gradients("activation")(frames, "alrs", "resnet20")
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["8 bits", "6 bits", "4 bits", "3 bits", "2 bits"]


def rows(**trainings: dict[str, object]) -> Suite:
    """Return a suite with one experiment, its variants trained so."""
    variants = {
        key: {"title": key.title(), "method": "lsq" if key.startswith("lsq") else "adabits"}
        | {"training": training}
        for key, training in trainings.items()
    }
    return make_suite(experiments={"alrs": EXPERIMENTS["alrs"] | {"variants": variants}})


def test_rows_that_record_no_gradients_are_passed_over():
    taught = {"distillation": "neighbour"}
    suite = rows(lsq={}, lsq_alrs=ALRS, taught=ALRS | taught, plain=OFF, alrs=ALRS)
    assert gradient_figures.plain_variant(suite, "alrs") == "plain"
    assert gradient_figures.alrs_variant(suite, "alrs") == "alrs"
    captions = [one.caption for one in gradient_figures.SCALES.drawings(suite, "alrs")]
    assert all("of the row Plain," in caption for caption in captions)


def test_where_alrs_alone_records_gradients_they_are_shown_and_compared_with_nothing_else():
    suite = rows(plain={"update": "separate"}, alrs=ALRS)
    assert gradient_figures.plain_variant(suite, "alrs") == "alrs"
    assert gradient_figures.alrs_variant(suite, "alrs") == "alrs"
    assert "of the row Alrs," in next(gradient_figures.SCALES.drawings(suite, "alrs")).caption


def test_a_row_that_differs_in_more_than_alrs_is_not_set_beside_the_plain_one():
    assert gradient_figures.alrs_variant(rows(plain=OFF, lsq=ALRS), "alrs") is None
