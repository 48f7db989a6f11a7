"""A whole suite from nothing to its report; interrupted, broken and changed on the way."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def finished(project):
    """Return the ids of the runs that have a result."""
    return {path.parent.name for path in project.folder.glob("results/runs/*/result.json")}


def trained(text):
    """Return how many runs the output says were trained."""
    return sum("] train " in line for line in text.splitlines())


def test_a_suite_is_built_once_and_then_only_where_it_changed(project):
    code, text = project.snakemake()
    assert code == 0, text
    assert trained(text) == len(project.runs) == 3
    report = project.folder / "results" / "tiny" / "report.html"
    assert f"report: {report}" in text
    assert not (project.folder / "X").exists(), "a name was run as a command"
    (data,) = (project.folder / project.data).iterdir()  # no marker and no log: it may be read-only
    assert data.suffix == ".npz"

    code, text = project.snakemake()
    assert code == 0
    assert "Nothing to be done" in text

    before = report.read_text()
    variant = {"without-alrs": {"training": {"learning_rate": 0.001}}}
    project.change(experiments={"alrs": {"networks": ["resnet20"], "variants": variant}})
    code, text = project.snakemake()
    assert code == 0, text
    assert trained(text) == 1
    assert report.read_text() != before


def test_a_run_that_fails_stops_no_other_and_the_report_can_be_had(project):
    broken = next(key for key, run in project.runs.items() if not run.is_float)
    folder = project.folder / "results" / "runs" / broken
    folder.mkdir(parents=True)
    (folder / "checkpoint.pt").write_bytes(b"truncated")
    code, text = project.snakemake()
    assert code != 0
    assert "checkpoint.pt" in text  # the log of the failed job, not just its name
    assert "Traceback" not in text
    assert finished(project) == set(project.runs) - {broken}

    command = [sys.executable, "-c", "from bitswitch.cli.app import main; main()"]
    code, text = project.run([*command, "report", project.path])
    assert code == 0, text
    table = (project.folder / "results" / "tiny" / "tables" / "table4.html").read_text()
    assert "not run to the end" in table


def test_a_killed_build_takes_its_jobs_along_and_is_continued(project):
    training = {"epochs": 15, "batch_size": 16, "learning_rate": 5e-4, "weight_decay": 5e-5}
    network = {**project.suite["networks"]["resnet20"], "training": training}
    project.change(networks={"resnet20": network})
    command = project.command("--cores", "8", "all")
    with subprocess.Popen(command, cwd=project.folder) as process:
        wait_for(lambda: any("32" not in beat["held_out"] for beat in heartbeats(project)))
        jobs = [beat["pid"] for beat in heartbeats(project)]
        process.kill()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in jobs), limit_s=10)
    before = finished(project)
    assert before < set(project.runs)

    code, text = project.snakemake("--until", "train")
    assert code == 0, text
    assert "had this folder locked: unlocked" in text
    assert trained(text) == len(set(project.runs) - before)
    assert finished(project) == set(project.runs)


def heartbeats(project):
    """Yield how far every run is that has trained an epoch."""
    for path in project.folder.glob("results/runs/*/progress.json"):
        beat = json.loads(path.read_text())
        if beat["held_out"]:
            yield beat


def wait_for(condition, limit_s=120):
    """Return when ``condition()`` holds."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.2)
