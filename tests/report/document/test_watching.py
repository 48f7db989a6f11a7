"""Tests of ``bitswitch.report.document.watching``."""

import time
from pathlib import Path

import pytest

from bitswitch.errors import RecordError
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.document import html, parts, watching
from bitswitch.report.document.progress import Progress, progress_of
from bitswitch.report.figures import figures
from bitswitch.suite.suite import Suite
from tests.report.conftest import EXPERIMENTS, know_plugins, make_suite, write_run

RELOADS = 'id="progress" data-growing>'


def make_small() -> Suite:
    """Return a suite of two experiments: the second one has runs of its own."""
    kept = {name: EXPERIMENTS[name] for name in ("alrs", "readings")}
    return make_suite(seeds=[0], experiments=kept)


@pytest.fixture
def small(known_plugins: None) -> Suite:
    return make_small()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    be_quick(monkeypatch)


def be_quick(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Wait for nothing and draw nothing; return the names of the figures, as they are asked for."""
    names: list[str] = []

    def write(name: str, folder: Path, frames: object, suffixes: object = ()) -> None:
        (folder / "figures").mkdir(exist_ok=True)
        (folder / f"figures/{name}.svg").write_text("<svg></svg>")
        names.append(name)

    monkeypatch.setattr(figures, "write", write)
    for name in ("REST", "QUIET_S", "LOOK_S"):
        monkeypatch.setattr(watching, name, 0.0)
    return names


Stages = list[tuple[Progress, str, set[str]]]


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    """What is shown of no run, of one of readings alone, and of all: how much, page and figures."""
    with pytest.MonkeyPatch.context() as patch:
        know_plugins(patch)
        drawn, small, shown = be_quick(patch), make_small(), []
        results = tmp_path_factory.mktemp("watched")
        watch = watching.Watch(small, results, called="own/small.yaml")
        of_alrs = {run.run_id for c in small.run_cells if c.experiment == "alrs" for run in c.runs}
        late = next(run for key, run in small.runs.items() if key not in of_alrs)
        others = [run for run in small.runs.values() if run is not late]
        for progress, runs in zip(watch, ([late], others, []), strict=True):
            shown.append((progress, watch.page.read_text(), set(drawn)))
            drawn.clear()
            for run in runs:
                write_run(run, results)
        return shown


def test_the_page_says_how_far_it_is_until_all_is_there(stages: Stages, small: Suite):
    total = len(small.runs)
    assert [progress.done for progress, _, _ in stages] == [0, 1, total]
    none, one, everything = (page for _, page, _ in stages)
    assert f"0 of {total} jobs are done" in none
    assert f"1 of {total} jobs are done" in one
    assert RELOADS in one
    assert RELOADS not in everything
    assert "jobs are done" not in everything


def test_commands_on_the_page_call_the_suite_as_its_user_does(stages: Stages):
    assert "--config suite=own/small.yaml claims=" in stages[0][1]


def test_only_figures_with_something_new_are_drawn_again(stages: Stages, small: Suite):
    shown_in = figures.experiments(small)
    (_, _, at_first), (_, _, then), (_, _, last) = stages
    assert at_first == last == set(shown_in)
    assert then == {name for name, shown in shown_in.items() if "readings" in shown}
    assert then < at_first


def test_it_leaves_the_report_of_the_workflow_alone(small: Suite, all_results: Path, results: Path):
    results.mkdir()
    (results / "runs").symlink_to(all_results / "runs")
    (only,) = watching.Watch(small, results)
    assert only.is_complete
    made = {path.name for path in (results / small.name).iterdir()}
    assert made == {watching.FOLDER}


def test_nothing_is_made_while_nothing_ends(
    small: Suite, results: Path, monkeypatch: pytest.MonkeyPatch
):
    looks = iter(range(50))

    def sleep(seconds: float) -> None:
        if next(looks, None) is None:
            raise KeyboardInterrupt

    watch = watching.Watch(small, results)
    shown = iter(watch)
    next(shown)
    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(collect, "write", None)
    with pytest.raises(KeyboardInterrupt):
        next(shown)
    watch.stop()
    page = watch.page.read_text()
    assert "jobs are done" in page
    assert RELOADS not in page


def test_what_ends_together_is_shown_together(
    small: Suite, results: Path, monkeypatch: pytest.MonkeyPatch
):
    left = iter(list(small.runs.values())[:3])
    shown = iter(watching.Watch(small, results))
    next(shown)

    def one_more(seconds: float) -> None:
        run = next(left, None)
        if run is not None:
            write_run(run, results)

    monkeypatch.setattr(time, "sleep", one_more)
    assert next(shown).done == 3


def test_a_damaged_record_is_an_error_unless_it_is_made_anew(
    small: Suite, results: Path, monkeypatch: pytest.MonkeyPatch
):
    first, second, *_ = small.runs.values()
    damaged = write_run(first, results) / "metrics.jsonl"
    intact = damaged.read_bytes()
    damaged.write_bytes(intact[:-9])
    with pytest.raises(RecordError):
        next(iter(watching.Watch(small, results)))
    write = collect.write

    def mended(*arguments: object) -> Path:
        """Fail once more; a job has been repeated meanwhile."""
        if damaged.read_bytes() != intact:
            try:
                return write(*arguments)
            finally:
                damaged.write_bytes(intact)
                write_run(second, results)
        return write(*arguments)

    monkeypatch.setattr(collect, "write", mended)
    assert next(iter(watching.Watch(small, results))).done == 2


def test_a_report_that_is_not_watched_says_what_is_missing(small: Suite, results: Path):
    write_run(next(iter(small.runs.values())), results)
    progress = progress_of(small, results)
    assert progress == Progress(1, len(small.runs))
    folder = collect.write(small, results)
    frames = Frames.read(folder)
    parts.write(frames, folder)
    for name in figures.names(small):
        figures.write(name, folder, frames)
    page = html.write(small, folder, progress).read_text()
    assert f"1 of {len(small.runs)} jobs are done" in page
    assert RELOADS not in page
