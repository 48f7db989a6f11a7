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
        gpu=int(config["device"] != "cpu" and bool(visible_gpus())),
    params:
        suite=SUITE_FILE,
        data=config["data"],
        device=config["device"],
        share=config["runs_per_gpu"],
    shell:
        "bitswitch deploy {params.suite} {wildcards.deployment} --data {params.data}"
        " --device {params.device} --runs-per-gpu {params.share} >> {log} 2>&1"
