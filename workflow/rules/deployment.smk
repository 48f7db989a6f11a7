"""Trained networks as integers that switch their bit-width, compared with training.

One job does both: starting it takes longer than either.
"""


def deployed_run(wildcards):
    """Return the result of the run whose network is exported."""
    return result_of(named("deployments", wildcards.deployment))


rule deploy:
    input:
        deployed_run,
    output:
        parity="results/deployments/{deployment}/parity.jsonl",
        result="results/deployments/{deployment}/result.json",
    log:
        "results/deployments/{deployment}/log",
    priority: urgency("deploy")
    threads: JOB_THREADS
    resources:
        **JOB_RESOURCES,
    shell:
        "bitswitch deploy "
        + JOB_ARGUMENTS
        + " {wildcards.deployment:q} >> {log:q} 2>&1"
