"""What the shipped experiments on the public code promise."""

from pathlib import Path

import pytest

from bitswitch.suite.suite import load_suite

SUITES = Path(__file__).resolve().parents[2] / "config" / "suites"
WIDE = (8, 6, 4, 2)


@pytest.fixture(scope="module", params=["mini", "cifar10"])
def suite(request):
    return load_suite(SUITES / f"{request.param}.yaml")


def runs_of(suite, experiment, bitset=WIDE):
    cells = [cell for cell in suite.run_cells if cell.experiment == experiment]
    return {cell.variant: cell.run for cell in cells if cell.seed == 0 and cell.bitset == bitset}


def flat(content, prefix=""):
    """Return the leaves of nested mappings by dotted name."""
    found = {}
    for key, value in content.items():
        inner = flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        found |= inner
    return found


def changes(run, other):
    a, b = (flat(one.model_dump()) for one in (run, other))
    return {key: b.get(key) for key in a.keys() | b.keys() if a.get(key) != b.get(key)}


def test_what_was_released_is_what_was_printed_and_every_single_difference(suite):
    runs = runs_of(suite, "as-released")
    printed, released = runs.pop("printed-kd"), runs.pop("released-kd")
    single = {variant: changes(printed, run) for variant, run in runs.items()}
    assert single == {
        "per-channel-kd": {"method.options.weight_granularity": "per-channel"},
        "gradient-kd": {"method.options.gradient": "printed"},
        "factors-kd": {
            "training.alrs.variant": "factor-only",
            "training.alrs.factors": "tenths",
            "training.alrs.target": "scales+norms+biases",
        },
        "ps-kd": {"training.distillation": "ps-kd"},
    }
    assert changes(printed, released) == {k: v for one in single.values() for k, v in one.items()}


def test_the_released_supernet_goes_on_from_the_released_network(suite):
    supernets = runs_of(suite, "as-released-search")
    networks = runs_of(suite, "as-released")
    for variant in ("printed-kd", "released-kd"):
        assert supernets[variant].start == networks[variant]
        assert supernets[variant].training == networks[variant].training
    options = supernets["released-kd"].method.options
    epochs = supernets["released-kd"].training.epochs
    assert options["warmup_epochs"] == (10 if suite.data == "published" else 1) < epochs
    cells = [cell for cell in suite.cells if cell.experiment == "as-released-search"]
    objectives = {cell.variant: cell.search.search.options["objective"] for cell in cells}
    assert objectives == {"printed-kd": "as-printed", "released-kd": "sign-fixed"}


@pytest.mark.parametrize("experiment", ["distillation", "scale-gradient", "roundings"])
def test_rows_of_an_option_differ_in_it_alone(suite, experiment):
    option = {
        "distillation": ("training.distillation", {"neighbour", "ps-kd"}),
        "scale-gradient": ("method.options.gradient", {"printed"}),
        "roundings": ("method.options.rounding", {"cascade", "shift", "single", "floor"}),
    }[experiment]
    default, *others = runs_of(suite, experiment).values()
    found = [changes(default, run) for run in others]
    assert all(list(one) == [option[0]] for one in found)
    assert {one[option[0]] for one in found} == option[1]
