"""Training runs. A run's directory is named by its content, so suites share what they have in common.

The checkpoint is no declared output: Snakemake deletes those before it repeats an interrupted job,
and an interrupted run shall continue.
"""

SLOTS = training_slots(config["device"], config["runs_per_gpu"])

# What the jobs that compute with networks have in common: of runs, sensitivities, searches, deployments.
# A share of --cores so large that no more of them start than the machine has slots for.
JOB_THREADS = -(-workflow.cores // SLOTS)
# Where jobs are submitted, this machine does not say what theirs will have: `auto` is a GPU there.
JOB_RESOURCES = {"mem_mb": 1200, "gpu": int(config["device"] != "cpu")}
# Text where it can be, not params: Snakemake formats the command of every job three times.
JOB_ARGUMENTS = literal(
    f"--data={DATA}",
    f"--device={config['device']}",
    f"--runs-per-gpu={config['runs_per_gpu']}",
    "--",
    SUITE_FILE,
)


def gpus_of(wildcards):
    """Return how many GPUs share a run, which takes so many times as much."""
    return GPUS[named("runs", wildcards.run).run_id]


def run_threads(wildcards):
    """Return the share of --cores that a run takes."""
    return min(workflow.cores, JOB_THREADS * gpus_of(wildcards))


def of_each_gpu(amount):
    """Return a function that gives a resource of a run, so much for each of its GPUs."""
    return lambda wildcards: amount * gpus_of(wildcards)


def result_of(spec):
    """Return the result of a run."""
    return f"results/runs/{spec.run_id}/result.json"


def scores_of(spec):
    """Return the scores of a sensitivity."""
    return f"results/sensitivities/{spec.identifier}/scores.csv"


def marker_of(dataset):
    """Return the marker of a dataset that is ready."""
    return f"{READY}/{dataset.identifier}.json"


def needs_of(wildcards):
    """Return what a run needs: the run it starts from, scores that guide it, its dataset.

    Datasets that are made again make no result outdated.
    """
    run = named("runs", wildcards.run)
    before = [result_of(run.start)] if run.start else []
    before += [scores_of(run.sensitivity)] if run.sensitivity else []
    return [*before, ancient(marker_of(run.dataset))]


rule train:
    input:
        needs_of,
    output:
        result="results/runs/{run}/result.json",
        metrics="results/runs/{run}/metrics.jsonl",
    log:
        "results/runs/{run}/log",
    priority: urgency("train")
    threads: run_threads
    resources:
        **{name: of_each_gpu(amount) for name, amount in JOB_RESOURCES.items()},
    params:
        processes=gpus_of,
    shell:
        "exec bitswitch train --processes={params.processes:q} "
        + JOB_ARGUMENTS
        + " {wildcards.run:q} >> {log:q} 2>&1"
