"""How sensitive layers are, and which policies searches find; both of trained networks."""


def scored(wildcards):
    """Return the results of the runs whose network a sensitivity scores, or else its dataset."""
    one = named("sensitivities", wildcards.sensitivity)
    return [result_of(run) for run in one.runs] or ancient(marker_of(one.run.dataset))


def searched(wildcards):
    """Return the result of the run that a search searches, and the scores that it reads."""
    search = named("searches", wildcards.search)
    return [result_of(search.run)] + (
        [scores_of(search.sensitivity)] if search.sensitivity else []
    )


# Scores that a run waits for, each a job of the cluster of its own: with scores of that run in the same
# job, the job would wait for the run, and the run for the job.
GUIDES = {run.sensitivity.identifier for run in SUITE.runs.values() if run.sensitivity}


def sharing(wildcards):
    """Return the group of a sensitivity, if `group-components` says how many share a job."""
    shared = "score" in workflow.group_settings.group_components
    return "score" if shared and wildcards.sensitivity not in GUIDES else None


rule score:
    input:
        scored,
    output:
        scores="results/sensitivities/{sensitivity}/scores.csv",
        result="results/sensitivities/{sensitivity}/result.json",
    log:
        "results/sensitivities/{sensitivity}/log",
    priority: urgency("score")
    group:
        sharing
    threads: JOB_THREADS
    resources:
        **JOB_RESOURCES,
    shell:
        "bitswitch score "
        + JOB_ARGUMENTS
        + " {wildcards.sensitivity:q} >> {log:q} 2>&1"


rule search:
    input:
        searched,
    output:
        metrics="results/searches/{search}/metrics.jsonl",
        result="results/searches/{search}/result.json",
    log:
        "results/searches/{search}/log",
    priority: urgency("search")
    threads: JOB_THREADS
    resources:
        **JOB_RESOURCES,
    shell:
        "bitswitch search " + JOB_ARGUMENTS + " {wildcards.search:q} >> {log:q} 2>&1"
