"""The profile for Kubernetes: what is asked of a cluster, and a suite through one of processes."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from bitswitch.cli.kubernetes import filled
from bitswitch.errors import SpecError
from tests.cluster.conftest import PROFILES

HERE = Path(__file__).parent / "pods_here"
PROFILE = yaml.safe_load((PROFILES / "kubernetes" / "config.yaml").read_text())
DEFAULT = yaml.safe_load((PROFILES / "default" / "config.yaml").read_text())
TEMPLATE = PROFILES / "kubernetes" / "job.yaml"
RESOURCES = {"cpus": 8, "memory_mb": 32000, "gpus": 2}


def cluster(folder, *arguments, **environment):
    """Call what the profile calls, with pods in ``folder``; return exit code and both outputs."""
    answer = subprocess.run(
        [sys.executable, "-m", "bitswitch.cli.kubernetes", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(HERE), "PODS_HERE": str(folder), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.returncode, answer.stdout.strip(), answer.stderr


def submit(folder, command):
    script = folder / "script.sh"
    script.write_text(command)
    options = ["--template", TEMPLATE, "--cpus", 1, "--memory-mb", 100, "--gpus", 0]
    code, name, text = cluster(folder, "submit", *options, script)
    assert code == 0, text
    return name


def test_it_agrees_with_the_default_profile_which_is_read_as_well():
    assert {key: PROFILE[key] for key in DEFAULT if key in PROFILE} == {
        key: value for key, value in DEFAULT.items() if key != "resources"
    }


def test_a_pod_gets_what_its_job_asks_for():
    job = filled(TEMPLATE, "one", Path("/project/.snakemake/job.sh"), RESOURCES)
    assert job["metadata"]["name"] == "one"
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert [*container["command"], *container["args"]] == ["/bin/sh", "/project/.snakemake/job.sh"]
    assert container["workingDir"] == str(Path.cwd())
    assert container["resources"] == {
        "requests": {"cpu": "8", "memory": "32000M", "nvidia.com/gpu": "2"},
        "limits": {"memory": "32000M", "nvidia.com/gpu": "2"},
    }
    assert (
        container["image"]
        == yaml.safe_load(TEMPLATE.read_text())["spec"]["template"]["spec"]["containers"][0][
            "image"
        ]
    )
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in pod["volumes"]
    }


def test_without_a_gpu_none_is_asked_for():
    job = filled(TEMPLATE, "one", Path("/x"), {**RESOURCES, "gpus": 0})
    assert "nvidia" not in json.dumps(job["spec"]["template"]["spec"]["containers"][0]["resources"])


@pytest.mark.parametrize("content", ["a: 1", "spec: {template: {spec: {containers: []}}}", "[1]"])
def test_a_manifest_of_something_else_is_refused(tmp_path, content):
    (tmp_path / "job.yaml").write_text(content)
    with pytest.raises(SpecError, match=r"no manifest of a job with one container"):
        filled(tmp_path / "job.yaml", "one", Path("/x"), RESOURCES)


def test_jobs_run_end_well_or_badly_and_are_cancelled(tmp_path):
    (tmp_path / "go").touch()
    names = [
        submit(tmp_path, command)
        for command in ("true", "exit 3", "while [ -e go ]; do sleep 0.1; done")
    ]
    for name in names[:2]:
        code = tmp_path / f"{name.partition('/')[2]}.code"
        while not code.exists():
            time.sleep(0.05)
    said = [cluster(tmp_path, "status", name)[1] for name in names]
    assert said == ["success", "failed", "running"]
    assert cluster(tmp_path, "status", names[0], PODS_SILENT="1")[1] == "running"
    assert cluster(tmp_path, "cancel", names[2])[0] == 0
    assert cluster(tmp_path, "status", names[2])[1] == "failed"
    (tmp_path / "go").unlink()


def test_what_is_missing_is_named(tmp_path):
    (tmp_path / "kubernetes.py").write_text("raise ImportError")
    code, _, text = cluster(tmp_path, "status", "default/x", PYTHONPATH=str(tmp_path))
    assert (code, "bitswitch[kubernetes]" in text) == (3, True)


@pytest.mark.slow
@pytest.mark.skipif(
    not importlib.util.find_spec("snakemake_executor_plugin_cluster_generic"),
    reason="pip install 'bitswitch[kubernetes]'",
)
def test_a_suite_goes_through_it(tiny):
    """Every job in a process that is asked for as a pod; the report beside Snakemake."""
    shutil.copytree(PROFILES, tiny.path / "profiles")
    pods = tiny.path / "pods"
    pods.mkdir()
    paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [*tiny.snakemake, "--profile", "profiles/kubernetes", "--latency-wait", "5"]
    answer = subprocess.run(
        [*command, "--seconds-between-status-checks", "1", *tiny.config, "device=cpu"],
        cwd=tiny.path,
        env={**os.environ, "PYTHONPATH": ":".join(paths), "PODS_HERE": str(pods)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    logs = "".join(path.read_text() for path in pods.glob("*.log"))
    assert answer.returncode == 0, answer.stdout + logs
    jobs = [json.loads(path.read_text()) for path in pods.glob("*.json")]
    asked = [job["spec"]["template"]["spec"]["containers"][0]["resources"] for job in jobs]
    assert len(jobs) == len(tiny.suite.runs)
    assert all(one["requests"] == {"cpu": "8", "memory": "32000M"} for one in asked)
    assert all(
        (tiny.path / "results" / "runs" / run / "result.json").exists() for run in tiny.suite.runs
    )
    assert (tiny.path / "results" / "tiny" / "report.html").exists()
