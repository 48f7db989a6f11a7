"""What the shipped experiments on mixed precision promise."""

from pathlib import Path

import pytest

from bitswitch.suite.suite import load_suite

SUITES = Path(__file__).resolve().parents[2] / "config" / "suites"


@pytest.fixture(scope="module", params=["mini", "cifar10"])
def cells(request):
    return load_suite(SUITES / f"{request.param}.yaml").run_cells


def of(cells, experiment):
    return [cell for cell in cells if cell.experiment == experiment]


def test_hasb_goes_on_from_the_row_without_it(cells):
    runs = {(cell.variant, cell.seed): cell.run for cell in of(cells, "components")}
    pairs = 0
    for (variant, seed), run in runs.items():
        if run.method.name == "hasb":
            without = "-".join(part for part in variant.split("-") if part != "hasb") or "none"
            assert run.start == runs[without, seed]
            assert run.training == run.start.training
            unshared = run.start.method.name == "double-rounding-unshared"
            assert (run.method.options["weight_scales"] == "unshared") == unshared
            pairs += seed == 0
    assert pairs == 8


def test_searches_are_compared_on_equal_footing(cells):
    compared = of(cells, "search-comparison")
    for seed in {cell.seed for cell in compared}:
        searches = [cell.search for cell in compared if cell.seed == seed]
        common = searches[0].model_dump(exclude={"search", "sensitivity", "seed", "budgets"})
        for search in searches:
            assert search.model_dump(include=set(common)) == common
            # As printed, the objective makes sense for the mean bit-width alone.
            printed = search.search.options.get("objective") == "as-printed"
            assert search.budgets == searches[0].budgets[: 1 if printed else None]
    drawing = {"random", "genetic", "haq", "dnas"}
    seeds = {cell.search.seed for cell in compared if cell.search.search.name in drawing}
    assert seeds == {0, 1, 2}


def test_layers_are_shown_of_searches_that_are_compared(cells):
    compared = of(cells, "search-comparison")
    shown = {cell.search.identifier for cell in of(cells, "searched-layers")}
    assert shown
    assert shown <= {cell.search.identifier for cell in compared}


def test_fronts_differ_in_what_is_drawn_alone(cells):
    fronts = of(cells, "fronts")
    assert {cell.bitset for cell in fronts} >= {(8, 6, 4, 2), (4, 3, 2)}
    sides = {}
    for cell in fronts:
        side = sides.setdefault((cell.bitset, cell.seed), {})
        side[cell.run.method.options["sampling"]] = cell
    for side in sides.values():
        hasb, even = side["roulette"], side["uniform"]
        assert hasb.run.start == even.run.start
        assert hasb.run.training == even.run.training
        assert hasb.search.budgets == even.search.budgets
        assert hasb.search.sensitivity == even.search.sensitivity


def test_traces_are_those_of_every_snapshot(cells):
    for cell in of(cells, "trace-stability"):
        epochs = [score.epoch for score in cell.scores]
        assert epochs == [0, *cell.run.training.snapshots, None]
