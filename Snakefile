"""Reproduce a suite: data, training runs, tables and figures, report.

`snakemake --cores 8 all` builds the suite named in config/config.yaml,
`snakemake --cores 8 all --config suite=smoke` another one, and
`snakemake --cores 8 all --config claims=C08` only what one claim needs,
`snakemake --cores 8 all --config cells=table1/resnet8` only some rows of a table.
"""

import gc
import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.settings.enums import Quietness
from snakemake.utils import min_version, validate

from bitswitch.assets import asset
from bitswitch.runtime.devices import training_slots
from bitswitch.planning import feasibility, order
from bitswitch.cli import client, fork_server
from bitswitch.report.claims import needs
from bitswitch.runtime import allocation, instructions, scheduler, stopping
from bitswitch.errors import BitswitchError, hint
from bitswitch.runtime.cache import digest
from bitswitch.suite import gpus
from bitswitch.suite.parts import part
from bitswitch.suite.suite import load_suite, suite_path

min_version("9.10")

# Jobs stay until the end: looking for garbage among thousands of them takes a sixth of all time before the first.
gc.set_threshold(100_000)

# The folder of the Snakefile that was called, which may include this one.
PROJECT = Path(workflow.basedir)


configfile: PROJECT / "config/config.yaml"


validate(config, asset("workflow", "schemas", "config.schema.yaml"))

try:
    SUITE_FILE = suite_path(config["suite"], PROJECT / "config/suites")
    SUITE = load_suite(SUITE_FILE)
    if config["claims"]:
        SUITE = needs.restricted(SUITE, config["claims"])
    if config["cells"]:
        SUITE = part(SUITE, config["cells"])
    feasibility.check(SUITE)
    for absence in feasibility.absent(SUITE).values():
        print(absence, file=sys.stderr)
    SUITE = feasibility.present(SUITE)
    GPUS = gpus.per_run(SUITE, config["gpus_per_run"])
except BitswitchError as error:
    raise WorkflowError(str(error)) from None

scheduler.name_user()
# On a cluster, each job is run by a Snakemake of its own, which reads this too.
if workflow.remote_exec:
    allocation.enter()
elif scheduler.enter():
    print(
        "A Snakemake was killed here and had this folder locked: unlocked.",
        file=sys.stderr,
    )

# Paths, not text: Snakemake takes braces in text for wildcards.
DATA = Path(os.path.expanduser(config["data"]))

# Jobs call the `bitswitch` beside this Snakemake; threads that wait leave the processor to others.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
instructions.pin()

REPORT = f"results/{SUITE.name}"


# Not the names themselves: Snakemake reads a pattern again for every job.
wildcard_constraints:
    dataset="[^/]+",
    run="[^/]+",
    sensitivity="[^/]+",
    search="[^/]+",
    deployment="[^/]+",


def named(kind, name):
    """Return what the suite has under a name, a dictionary of its own for each kind."""
    specs = getattr(SUITE, kind)
    if name not in specs:
        raise WorkflowError(
            f"Suite '{SUITE.name}' has no '{name}' among its {kind}.{hint(name, specs)}"
        )
    return specs[name]


# A job on a cluster has nothing to choose from.
PRIORITIES = {} if workflow.remote_exec else order.priorities(SUITE, config["first"])


def urgency(rule):
    """Return what tells how urgent a job of a rule is."""
    return lambda wildcards: PRIORITIES.get(f"{rule} {next(iter(wildcards))}", 0)


# To list thousands of jobs takes Snakemake most of the time that it takes to find them.
MOST_LISTED = 1000
output = workflow.output_settings
if output.dryrun and len(SUITE.runs) > MOST_LISTED:
    if not (output.quiet or output.printshellcmds or output.verbose):
        output.quiet = {Quietness.PROGRESS, Quietness.RULES}
        print(
            f"{len(SUITE.runs)} runs: their jobs are counted, not listed; `--printshellcmds` lists them.",
            file=sys.stderr,
        )


def literal(*arguments):
    """Return arguments of a command as Snakemake takes them for text that has no placeholders."""
    text = shlex.join(map(str, arguments))
    return text.replace("{", "{{").replace("}", "}}")


include: "workflow/rules/data.smk"
include: "workflow/rules/runs.smk"
include: "workflow/rules/exploration.smk"
include: "workflow/rules/deployment.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        rules.html.output,
        rules.pdf.output,


# What takes seconds, or the network, stays beside this process, wherever the others run.
localrules:
    prepare,
    collect,
    tables,
    figures,
    html,
    pdf,


# Jobs of this machine end with this process, and fork from one that has torch loaded. Those of a
# cluster have a scheduler of their own, and must not leave their allocation.
onstart:
    if workflow.local_exec:
        with suppress(OSError):
            os.environ[stopping.SCHEDULER_VARIABLE] = stopping.identity(os.getpid())
        if path := fork_server.start(SUITE_FILE):
            os.environ[client.SOCKET_VARIABLE] = path


onsuccess:
    print(f"report: {Path(REPORT, 'report.html').resolve()}")


onerror:
    print(
        f"\nWhat is complete stays. The report of what there is: bitswitch report {config['suite']}"
    )
