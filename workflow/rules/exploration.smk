"""How sensitive layers are, and which policies searches find; both of trained networks."""


def scored_runs(wildcards):
    """Return the results of the runs whose network a sensitivity scores."""
    return [result_of(run) for run in SUITE.sensitivities[wildcards.sensitivity].runs]


def searched(wildcards):
    """Return the result of the run that a search searches, and the scores that it reads."""
    search = SUITE.searches[wildcards.search]
    return [result_of(search.run)] + (
        [scores_of(search.sensitivity)] if search.sensitivity else []
    )


rule score:
    input:
        scored_runs,
    output:
        scores="results/sensitivities/{sensitivity}/scores.csv",
        result="results/sensitivities/{sensitivity}/result.json",
    log:
        "results/sensitivities/{sensitivity}/log",
    threads: -(-workflow.cores // SLOTS)
    resources:
        mem_mb=1200,
        gpu=GPU,
    params:
        suite=SUITE_FILE,
        data=DATA,
        device=config["device"],
        share=config["runs_per_gpu"],
    shell:
        "bitswitch score --data={params.data:q} --device={params.device:q}"
        " --runs-per-gpu={params.share:q} -- {params.suite:q} {wildcards.sensitivity:q} >> {log:q} 2>&1"


rule search:
    input:
        searched,
    output:
        metrics="results/searches/{search}/metrics.jsonl",
        result="results/searches/{search}/result.json",
    log:
        "results/searches/{search}/log",
    threads: -(-workflow.cores // SLOTS)
    resources:
        mem_mb=1200,
        gpu=GPU,
    params:
        suite=SUITE_FILE,
        data=DATA,
        device=config["device"],
        share=config["runs_per_gpu"],
    shell:
        "bitswitch search --data={params.data:q} --device={params.device:q}"
        " --runs-per-gpu={params.share:q} -- {params.suite:q} {wildcards.search:q} >> {log:q} 2>&1"
