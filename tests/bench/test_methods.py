import pytest

from bitswitch.bench import methods
from bitswitch.bench.alternating import Side
from bitswitch.bench.methods import chosen, measure
from bitswitch.errors import SpecError, UnknownPluginError
from bitswitch.plugins import facts, registry


def test_all_means_every_method_but_the_reference():
    assert chosen("all") == [name for name in registry.names("methods") if name != "float32"]
    assert chosen("double-rounding, double-rounding") == ["double-rounding"]
    with pytest.raises(UnknownPluginError, match="Did you mean 'double-rounding'"):
        chosen("doubel-rounding")
    with pytest.raises(SpecError, match="measured by"):
        chosen("double-rounding,float32")


@pytest.fixture
def compared(monkeypatch):
    """Pretend to measure; return what was asked for."""
    asked = []

    def compare(runs, compiled, device):
        asked.append((compiled, {name: run.bitset for name, run in runs.items()}))
        assert all(run.training.compile == compiled for run in runs.values())
        return {name: Side(4, 1.0, 1.5, 1.5, 100.0, 110.0) for name in runs}

    monkeypatch.setattr(methods, "compare", compare)
    return asked


def test_figures_are_named_by_method(compared):
    measured = measure(["double-rounding"])
    assert compared == [(False, {"double-rounding": (8, 6, 4, 2)})]
    assert measured.figures == {
        "eager_over_fp32/double-rounding": 1.5,
        "eager_memory_over_fp32/double-rounding": 1.1,
        "passes/double-rounding": 4,
    }
    assert measured.rows == (
        ("double-rounding", "eager", "4", "1.000 s", "1.500 s", "1.500", "1.60", "1.10"),
    )


def test_compiled_steps_are_an_option(compared):
    measured = measure(["double-rounding"], compiled=True)
    assert [compiled for compiled, _ in compared] == [False, True]
    assert measured.figures["compiled_over_fp32/double-rounding"] == 1.5
    assert [row[1] for row in measured.rows] == ["eager", "compiled"]


def test_a_method_for_one_bit_width_is_measured_at_one(compared, monkeypatch):
    def refusal(run):
        return "one at a time" if len(run.bitset) > 1 else None

    monkeypatch.setattr(facts, "refusal", refusal)
    measure(["double-rounding"])
    assert compared == [(False, {"double-rounding": (8,)})]


def test_what_cannot_be_measured_says_why(compared, monkeypatch):
    monkeypatch.setattr(facts, "refusal", lambda run: "not today")
    measured = measure(["double-rounding"])
    assert compared == [(False, {})]
    assert "double-rounding is not measured: not today" in measured.title
    assert not measured.rows
    monkeypatch.setattr(registry.load("methods", "double-rounding"), "trains", False)
    assert "it trains nothing" in measure(["double-rounding"]).render()
