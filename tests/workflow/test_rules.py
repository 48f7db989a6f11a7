"""What is run, and what is run again; nothing is trained here."""

import os
import re
import shlex
import string
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bitswitch.runtime.devices import available_cpus
from bitswitch.suite.suite import load_suite
from tests.workflow.conftest import ODD, SUITE

TOP = Path(__file__).resolve().parents[2]
RULE_FILES = [TOP / "Snakefile", *sorted((TOP / "workflow" / "rules").glob("*.smk"))]


def with_arm(**training):
    """Return experiments whose variant with ALRS has another recipe."""
    variant = {"title": "w. ALRS", "training": training}
    return {"alrs": {"networks": ["resnet20"], "variants": {"with-alrs": variant}}}


def test_everything_is_run_at_first_and_nothing_twice(project):
    assert project.planned() == set(project.runs)
    project.pretend()
    assert project.planned() == set()


def test_one_changed_value_repeats_only_what_depends_on_it(project):
    project.pretend()
    before = set(project.runs)
    project.change(experiments=with_arm(learning_rate=0.01))
    again = project.planned()
    assert again == set(project.runs) - before
    assert len(again) == 1


def test_deployments_follow_their_runs_and_come_before_the_report(project):
    project.change(experiments={"deployment": {"networks": ["resnet20"]}})
    project.pretend()
    code, text = project.snakemake("--dry-run")
    assert code == 0, text
    (deployed,) = re.findall(r"wildcards: deployment=(\S+)", text)
    assert deployed in project.runs
    collect = text[text.index("rule collect:") :]
    assert f"results/deployments/{deployed}/result.json" in collect


def test_a_start_that_is_gone_repeats_what_starts_from_it(project):
    project.pretend()
    (start,) = (key for key, run in project.runs.items() if run.is_float)
    (project.folder / "results" / "runs" / start / "result.json").unlink()
    assert project.planned() == set(project.runs)


def test_data_made_again_repeats_nothing(project):
    project.pretend()
    for marker in project.markers():
        os.utime(marker)
    assert project.planned() == set()


def test_no_more_runs_start_than_there_are_slots(project):
    text = project.snakemake("--dry-run", CUDA_VISIBLE_DEVICES="")[1]
    (threads,) = set(re.findall(r"rule train:.*?threads: (\d+)", text, re.DOTALL)) or {"1"}
    assert 8 // int(threads) <= available_cpus()


def test_with_gpus_one_run_each(project):
    text = project.snakemake("--dry-run", CUDA_VISIBLE_DEVICES="0,1")[1]
    assert "threads: 4" in text
    assert "gpu=1" in text


def test_two_runs_share_a_gpu_if_asked(project):
    arguments = ("--dry-run", "--printshellcmds")
    text = project.snakemake(*arguments, config="runs_per_gpu=2", CUDA_VISIBLE_DEVICES="0")[1]
    assert "threads: 4" in text
    assert "--device=auto --runs-per-gpu=2 -- " in text


def test_jobs_of_more_than_a_thousand_runs_are_counted_unless_a_list_is_asked_for(project):
    only = {"networks": ["resnet20"], "variants": {"plain": {"title": "Plain", "training": {}}}}
    project.change(experiments={"one": only | {"title": "One"}}, seeds=list(range(501)))
    code, text = project.snakemake("--dry-run")
    assert code == 0, text
    assert "1002 runs: their jobs are counted, not listed; `--printshellcmds` lists them." in text
    assert re.search(r"^train +1002$", text, re.MULTILINE)
    assert "rule train:" not in text
    text = project.snakemake("--dry-run", "--printshellcmds")[1]
    assert text.count("rule train:") == 1002


OWN = {
    "source": "a test",
    "statement": "adaptive rates help at eight bits",
    "kind": "direction",
    "left": {"experiment": "narrow", "variants": ["with-alrs"]},
    "right": {"experiment": "narrow", "variants": ["without-alrs"]},
}


def test_only_the_runs_of_a_claim_are_trained(project):
    shared = yaml.safe_load((TOP / "config" / "experiments.yaml").read_text())["alrs"]
    narrow = shared | {"networks": ["resnet20"], "bitsets": [[8]]}
    narrow = {key: narrow[key] for key in ("title", "networks", "variants", "bitsets")}
    project.change(experiments=project.suite["experiments"] | {"narrow": narrow})
    project.change(claims={"own-claim": OWN})
    planned, runs = project.planned(config="claims=own-claim"), project.runs
    assert {runs[run].bitset for run in planned} == {(32,), (8,)}
    assert len(planned) == 3 < len(runs)


def test_only_the_runs_of_some_cells_are_trained_and_the_first_ones_have_priority(project):
    project.change(
        experiments={"alrs": {"networks": ["resnet20"]}, "readings": {"networks": ["resnet20"]}}
    )
    config = "cells=alrs first=alrs/resnet20/with-alrs"
    code, text = project.snakemake("--dry-run", config=config)
    assert code == 0, text
    found = re.findall(r"wildcards: run=(\S+)\n\s+priority: (\d+)", text)
    urgent = {run: int(priority) for run, priority in found}
    cells = [cell for cell in load_suite(project.path).run_cells if cell.experiment == "alrs"]
    assert set(urgent) == {run.run_id for cell in cells for run in cell.runs}
    assert set(urgent) < set(project.runs)
    of = {cell.variant: urgent[cell.run.run_id] for cell in cells}
    assert of["with-alrs"] > of["without-alrs"] > 0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("suite=minni", "Did you mean 'mini'?"),
        ("devise=cpu", "devise"),
        ("device=tpu", "tpu"),
        ("claims=C26,own-clam", "Did you mean 'own-claim'?"),
    ],
)
def test_a_wrong_setting_stops_before_any_job(project, config, message):
    project.change(claims={"own-claim": OWN})
    code, text = project.snakemake(config=config)
    assert code != 0
    assert message in text
    assert "Traceback" not in text


def test_a_wrong_suite_stops_before_any_job(project):
    project.change(sedes=[0])
    code, text = project.snakemake()
    assert code != 0
    assert "Did you mean 'seeds'?" in text


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: path.name)
def test_every_value_in_a_shell_line_is_quoted(path):
    text = path.read_text()
    rules = re.split(r"^(?=rule )", text, flags=re.MULTILINE)
    for lines in (rule.partition("    shell:")[2] for rule in rules):
        command = "".join(re.findall(r'"(.*)"', lines))
        forms = {form for _, value, form, _ in string.Formatter().parse(command) if value}
        assert forms <= {"q"}, command


@pytest.mark.parametrize("suite", ["-{a}.yaml", "../s u&i't{e}.yaml"])
def test_a_clone_may_lie_anywhere_and_be_used_from_anywhere(tmp_path, suite):
    clone, folder = tmp_path / ODD, tmp_path / "-elsewhere {y}"
    clone.mkdir()
    folder.mkdir()
    for part in ("Snakefile", "workflow", "config", "report", "bitswitch"):
        (clone / part).symlink_to(TOP / part)
    (folder / suite).write_text(yaml.safe_dump(SUITE))
    (folder / "config").symlink_to(TOP / "config")
    command = [sys.executable, "-m", "snakemake", "--snakefile", clone / "Snakefile", "--dry-run"]
    command += ["--printshellcmds", "--config", f"suite={suite}", "data=-d"]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert f"--data=-d --device=auto --runs-per-gpu=1 -- {shlex.quote(suite)} " in answer.stdout


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: path.name)
def test_rules_are_small_and_call_the_command_line(path):
    text = path.read_text()
    assert "run:" not in re.sub(r"\S+run:", "", text).replace("    run=", "")
    assert "script:" not in text
    for rule in re.split(r"^(?=rule )", text, flags=re.MULTILINE)[1:]:
        body = rule.split("\n\n\n")[0]
        assert body.count("\n") <= 25, body
        name = body.split()[1].rstrip(":")
        if name != "all":
            assert all(f"    {part}:" in body for part in ("output", "log", "shell")), name
            assert re.search('"(exec )?bitswitch ', body), name


@pytest.mark.parametrize(
    ("target", "kind"),
    [("runs/{}/result.json", "runs"), ("deployments/{}/result.json", "deployments")],
)
def test_a_target_that_the_suite_does_not_have_is_named(project, target, kind):
    (one, *_) = project.runs
    wrong = f"results/{target.format(f'{one}0')}"
    code, text = project.run(project.command("--cores", "1", "--dry-run", wrong))
    assert code != 0
    assert f"Suite 'tiny' has no '{one}0' among its {kind}." in text


def test_patterns_of_rules_do_not_grow_with_the_suite(project):
    """Snakemake reads each of them again for every job."""
    sizes = []
    for seeds in ([0], list(range(20))):
        project.change(seeds=seeds)
        text = project.run([sys.executable, "-c", PATTERNS, project.path])[1]
        sizes.append(int(text.splitlines()[-1]))
    assert sizes[0] == sizes[1] > 0


PATTERNS = f"""
import sys
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, ResourceSettings

with SnakemakeApi() as api:
    flow = api.workflow(
        resource_settings=ResourceSettings(cores=1),
        config_settings=ConfigSettings(config={{"suite": sys.argv[1]}}),
        snakefile=Path({str(TOP / "Snakefile")!r}),
    )
    rules = flow._workflow.rules or (flow._workflow.include(flow.snakefile) or flow._workflow.rules)
    print(sum(len(str(file)) for rule in rules for file in (*rule.output, *rule.log)
        if rule.has_wildcards()))
"""
