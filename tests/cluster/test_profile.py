"""What the profile for Slurm says, as the Snakemake and the plugin that are here read it."""

import importlib.util
import re

import pytest
import yaml

from tests.cluster.conftest import PROFILES, Folder
from tests.workflow.commands import said
from tests.workflow.conftest import SUITE

SLURM = yaml.safe_load((PROFILES / "slurm" / "config.yaml").read_text())
DEFAULT = yaml.safe_load((PROFILES / "default" / "config.yaml").read_text())
OF_THE_PLUGIN = {key for key in SLURM if key == "executor" or key.startswith("slurm-")}


def dry_run(folder, *options, config=()):
    command = (*folder.snakemake, "--dry-run", *options, *folder.config, *config)
    return said(*command, cwd=folder.path)


def training(text):
    """Return threads and resources of the training runs in what a dry run says."""
    (found,) = set(re.findall(r"rule train:.*?threads: (\d+)\n +resources: (.*?)\n", text, re.S))
    return found[0], dict(one.split("=", 1) for one in found[1].split(", "))


def test_it_agrees_with_the_default_profile_which_is_read_as_well():
    assert {key: SLURM[key] for key in DEFAULT if key in SLURM} == {
        key: value for key, value in DEFAULT.items() if key != "resources"
    }


def test_scores_that_a_run_waits_for_share_no_job_with_scores_of_that_run(tmp_path):
    again = {"scores": [{"sensitivity": "hessian-trace", "of": "trained"}]}
    mixed = {"networks": ["resnet20"], "variants": {"hasb": again}}
    content = {"experiments": {"mobilenetv2-mixed": mixed}, "seeds": [0, 1]}
    folder = Folder(tmp_path / "guided", SUITE | content)
    scores = set(folder.suite.sensitivities)
    guides = {run.sensitivity.identifier for run in folder.suite.runs.values() if run.sensitivity}
    assert guides
    assert any(one.run.sensitivity for one in folder.suite.sensitivities.values())
    profile = {"groups": SLURM["groups"], "group-components": {"score": len(scores)}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(profile))
    text = dry_run(folder, "--profile", tmp_path)
    (group,) = re.findall(r"Group job score .*?(?=\n\[|\nJob stats)", text, re.DOTALL)
    assert set(re.findall(r"sensitivity=(\S+)", group)) == scores - guides
    assert set(re.findall(r"sensitivity=(\S+)", text)) == scores


def test_runs_ask_for_what_slurm_needs_whatever_the_login_node_has(tiny, tmp_path):
    profile = tmp_path / "config.yaml"
    profile.write_text(
        yaml.safe_dump({key: SLURM[key] for key in SLURM if key not in OF_THE_PLUGIN})
    )
    threads, asked = training(dry_run(tiny, "--profile", tmp_path, config=["gpus_per_run=4"]))
    assert threads == "8"
    assert asked["gpu"] == "4"
    assert asked["slurm_extra"] == "--signal=USR1@120"
    assert int(asked["runtime"]) > 0
    assert asked["nodes"] == "1"
    assert (asked["mem_mb_per_cpu"], asked["cpus_per_gpu"]) == ("4000", "8")


@pytest.mark.skipif(
    not importlib.util.find_spec("snakemake_executor_plugin_slurm"),
    reason="pip install 'bitswitch[slurm]'",
)
@pytest.mark.parametrize("option", ["--profile", "--workflow-profile"])
def test_the_plugin_takes_all_of_it(tiny, option):
    threads, asked = training(dry_run(tiny, option, PROFILES / "slurm", config=["device=cpu"]))
    assert (threads, asked["gpu"]) == ("8", "0")
