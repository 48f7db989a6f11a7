import pytest

from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.render.table import DASH
from bitswitch.report.tables import gradient_table, tables
from bitswitch.report.tables.gradient_table import ratios
from tests.report.conftest import SHARED, make_suite, write_run

EXPERIMENT = "scale-gradient-sizes"
VARIANTS = SHARED[EXPERIMENT]["variants"]


@pytest.fixture
def suite(known_plugins):
    experiment = SHARED[EXPERIMENT] | {"networks": ["resnet20"], "seeds": [0, 1]}
    return make_suite(experiments={EXPERIMENT: experiment})


def sizes_of(frames, option):
    """Return mean |gradient| by bit-width over the seeds of a variant."""
    chosen = [
        run.run_id
        for run in frames.suite.runs.values()
        if not run.is_float and run.method.options.get("gradient") == option
    ]
    rows = frames.scale_gradients
    rows = rows[rows.run.isin(chosen) & (rows.operand == "weight")]
    return {bits: rows[rows.bits == bits].mean_abs.mean() for bits in (8, 6, 4, 2)}


def test_ratios_are_those_of_the_narrowest_bit_width():
    sizes = {4: 2.0, 3: 3.0, 2: 24.0}
    assert ratios(sizes, factor=True) == {4: 12.0, 3: 8.0}
    assert ratios(sizes, factor=False) == {4: 3.0, 3: 4.0}


def test_both_readings_stand_under_what_is_claimed(suite, results):
    for run in suite.runs.values():
        write_run(run, results)
    folder = collect.write(suite, results)
    frames = Frames.read(folder)
    (section,) = tables.build(frames, EXPERIMENT).sections
    assert section.groups[0].columns == ("8 bits", "6 bits", "4 bits")
    lines = {line.label: [entry.text for entry in line.entries] for line in section.lines}
    derivative, printed = sizes_of(frames, None), sizes_of(frames, "printed")
    assert lines == {
        "claimed (app A.6)": ["10", "10", "10"],
        VARIANTS["derivative"]["title"]: [
            f"{derivative[2] / derivative[b]:.3g}" for b in (8, 6, 4)
        ],
        "the same, divided by 2^(h-b)": [
            f"{derivative[2] / derivative[b] / factor:.3g}"
            for b, factor in ((8, 64), (6, 16), (4, 4))
        ],
        VARIANTS["printed"]["title"]: [f"{printed[2] / printed[b]:.3g}" for b in (8, 6, 4)],
    }
    assert {entry.below for line in section.lines[1:] for entry in line.entries} == {"(2)"}


def test_a_row_that_did_not_run_is_a_dash(suite, results):
    for run in suite.runs.values():
        if not run.method.options:
            write_run(run, results)
    folder = collect.write(suite, results)
    assert len(tables.write(EXPERIMENT, folder)) == 2
    frames = Frames.read(folder)
    table = gradient_table.build(frames, EXPERIMENT, EXPERIMENT)
    assert table.sections[0].lines[-1].entries[0].text == DASH
    assert table.footnotes == (("a", "not run to the end"),)
