"""How sensitive layers are, and which policies searches find; both of trained networks."""


def scored_runs(wildcards):
    """Return the results of the runs whose network a sensitivity scores."""
    return [
        result_of(run) for run in named("sensitivities", wildcards.sensitivity).runs
    ]


def scored_data(wildcards):
    """Return the marker of the dataset that a sensitivity sees, unless its runs wait for it."""
    one = named("sensitivities", wildcards.sensitivity)
    return [] if one.runs else f"{READY}/{one.run.dataset.identifier}.json"


def searched(wildcards):
    """Return the result of the run that a search searches, and the scores that it reads."""
    search = named("searches", wildcards.search)
    return [result_of(search.run)] + (
        [scores_of(search.sensitivity)] if search.sensitivity else []
    )


rule score:
    input:
        runs=scored_runs,
        data=ancient(scored_data),
    output:
        scores="results/sensitivities/{sensitivity}/scores.csv",
        result="results/sensitivities/{sensitivity}/result.json",
    log:
        "results/sensitivities/{sensitivity}/log",
    priority: urgency("score")
    threads: JOB_THREADS
    resources:
        **JOB_RESOURCES,
    params:
        **JOB_PARAMS,
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
    params:
        **JOB_PARAMS,
    shell:
        "bitswitch search " + JOB_ARGUMENTS + " {wildcards.search:q} >> {log:q} 2>&1"
