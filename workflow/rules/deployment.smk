"""Trained networks as integers that switch their bit-width, compared with training.

One job does both: starting it takes longer than either.
"""


rule deploy:
    input:
        "results/runs/{deployment}/result.json",
    output:
        parity="results/deployments/{deployment}/parity.jsonl",
        result="results/deployments/{deployment}/result.json",
    log:
        "results/deployments/{deployment}/log",
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
        "bitswitch deploy --data={params.data:q} --device={params.device:q}"
        " --runs-per-gpu={params.share:q} -- {params.suite:q} {wildcards.deployment:q} >> {log:q} 2>&1"
