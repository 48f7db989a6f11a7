"""Suites through the profile and a real Slurm, which warns one of their training runs.

Beside each, the same suite on this machine alone, as ``snakemake --cores 8 all`` builds it.
"""

import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
import yaml

from bitswitch.cli.client import SOCKET_VARIABLE
from bitswitch.report.collect.columns import TABLES
from bitswitch.results.files import read_json
from bitswitch.runtime import allocation
from bitswitch.runtime.gpus import VISIBLE
from bitswitch.runtime.stopping import SCHEDULER_VARIABLE
from tests.cluster.conftest import PROFILES, SUITE, TOP, Folder

pytestmark = pytest.mark.slurm

SCRIPT = Path(__file__).with_name("slurm.sh")
TRAINING = {"batch_size": 16, "learning_rate": 1e-3, "weight_decay": 5e-5}
STABILITY = {
    "training": {"snapshots": [1]},
    "scores": [{"sensitivity": "hessian-trace", "of": "trained", "epochs": [0, 1]}],
}
CONTENT = SUITE | {
    "networks": {
        "resnet20": SUITE["networks"]["resnet20"]
        | {
            "bitsets": [[8, 4, 2]],
            "float_training": TRAINING | {"epochs": 8},
            "training": TRAINING | {"epochs": 40},
        }
    },
    "experiments": {
        "alrs": {"networks": ["resnet20"]},
        "trace-stability": {"networks": ["resnet20"], "variants": {"double-rounding": STABILITY}},
    },
}
"""A float run, three that start from it, three sensitivities of one of these."""
MEASURED = r"time_s$|^switch_s$|memory_mib$|energy|^started$|^finished$|^commit$"
"""Columns of tables that say when, how long, and how much."""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run([SCRIPT, "start", folder], check=True)
    yield folder
    subprocess.run([SCRIPT, "stop", folder], check=True)


def small_profile(folder):
    """Write the profile, adapted to a small machine whose GPUs are none; return its folder."""
    profile = yaml.safe_load((PROFILES / "slurm" / "config.yaml").read_text())
    profile["default-resources"] |= {"mem_mb_per_cpu": 250, "cpus_per_gpu": 4, "runtime": 10}
    profile["set-resources"] |= {"score": {"gpu": 1}}
    profile["set-resources"]["train"] |= {"gpu": 1, "runtime": 20}
    profile |= {"slurm-init-seconds-before-status-checks": 2, "latency-wait": 10}
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(profile))
    return folder


def build(folder, *options):
    """Start Snakemake."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        [*folder.snakemake, *options, *folder.config, "device=cpu"],
        cwd=folder.path,
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def jobs(folder):
    """Return the environments of the training jobs that are at work, by run."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_text().split("\0")[:-1]
            if "train" in words and (process / "cwd").resolve() == folder.path and "--" in words:
                pairs = (process / "environ").read_text().split("\0")
                found[words[-1]] = dict(one.split("=", 1) for one in pairs if "=" in one)
    return found


def step_of(folder, run):
    path = folder.path / "results" / "runs" / run / "progress.json"
    return read_json(path)["step"] if path.exists() else 0


def until(condition, process, limit_s=900):
    """Return what ``condition`` says once it is no more nothing; ``process`` has to go on."""
    end = time.monotonic() + limit_s
    while not (found := condition()):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.2)
    return found


def restarts(job):
    answer = subprocess.check_output(["scontrol", "show", "job", job], text=True)
    return int(re.search(r"Restarts=(\d+)", answer)[1])


def test_a_suite_is_what_it_is_on_one_machine_although_a_run_is_warned(slurm, tmp_path):
    cluster, local = Folder(tmp_path / "cluster", CONTENT), Folder(tmp_path / "local", CONTENT)
    arms = {name for name, spec in cluster.suite.runs.items() if not spec.is_float}
    snakemake = build(cluster, "--profile", small_profile(tmp_path / "profile"))

    def two_at_work():
        found = {run: job for run, job in jobs(cluster).items() if run in arms}
        return found if len(found) == 2 and all(step_of(cluster, run) for run in found) else None

    pair = until(two_at_work, snakemake)
    assert {job[VISIBLE] for job in pair.values()} == {"0", "1"}
    for job in pair.values():
        assert job[allocation.VARIABLE] == job["SLURM_JOB_ID"]
        assert not {SOCKET_VARIABLE, SCHEDULER_VARIABLE} & job.keys()

    warned, number = next((run, job["SLURM_JOB_ID"]) for run, job in pair.items())
    subprocess.run(["scancel", "--signal=USR1", number], check=True)
    until(lambda: restarts(number) == 1, snakemake)
    stopped_at = step_of(cluster, warned)
    said, _ = snakemake.communicate()
    assert snakemake.returncode == 0, said
    assert "Error" not in said
    log = (cluster.path / "results" / "runs" / warned / "log").read_text()
    assert int(re.search(r"step (\d+) of", log)[1]) >= stopped_at > 0
    listed = (slurm / "log" / "jobcomp.txt").read_text()
    assert len(set(re.findall(r"JobId=(\d+)", listed))) == 4 + 1  # sensitivities are one

    compare(cluster, local, runs=4)


def test_smoke_is_what_it_is_on_one_machine_although_a_run_is_warned(slurm, tmp_path):
    """Every rule, method, search and sensitivity."""
    smoke = yaml.safe_load((TOP / "config" / "suites" / "smoke.yaml").read_text())
    cluster, local = Folder(tmp_path / "cluster", smoke), Folder(tmp_path / "local", smoke)
    runs = cluster.suite.runs
    long = {name for name, spec in runs.items() if spec.training.epochs > 5}
    snakemake = build(cluster, "--profile", small_profile(tmp_path / "profile"))

    def at_work():
        return [job for run, job in jobs(cluster).items() if run in long and step_of(cluster, run)]

    number = until(at_work, snakemake)[0]["SLURM_JOB_ID"]
    subprocess.run(["scancel", "--signal=USR1", number], check=True)
    until(lambda: restarts(number) == 1, snakemake)
    said, _ = snakemake.communicate()
    assert snakemake.returncode == 0, said
    assert "Error" not in said
    compare(cluster, local, runs=len(runs))


def compare(cluster, local, runs):
    """Assert that ``local``, built now, gives the numbers that ``cluster`` has."""
    alone = build(local)
    said, _ = alone.communicate()
    assert alone.returncode == 0, said

    ours, theirs = (folder.path / "results" for folder in (cluster, local))
    records = sorted(path.relative_to(theirs) for path in theirs.glob("runs/*/metrics.jsonl"))
    assert len(records) == runs
    for record in records:
        assert (ours / record).read_bytes() == (theirs / record).read_bytes(), record
    name = local.suite.name
    for table in TABLES:
        both = [
            pd.read_csv(folder / name / f"{table}.csv", dtype=str, keep_default_na=False)
            for folder in (ours, theirs)
        ]
        kept = [frame.loc[:, ~frame.columns.str.contains(MEASURED)] for frame in both]
        pd.testing.assert_frame_equal(*kept, obj=table)
    assert (ours / name / "report.html").exists()
