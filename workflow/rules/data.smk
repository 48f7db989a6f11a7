"""Datasets: made or downloaded once, checked, and marked as ready by what the check found.

Marker and log lie among the results, by data folder: data may be shared and read-only.
"""

READY = f"results/data/{digest(os.path.normpath(DATA))[:8]}"


rule prepare:
    output:
        f"{READY}/{{dataset}}.json",
    log:
        f"{READY}/{{dataset}}.log",
    priority: urgency("prepare")
    params:
        suite=SUITE_FILE,
        data=DATA,
    shell:
        "bitswitch data prepare --suite={params.suite:q} --data={params.data:q} --facts={output:q}"
        " -- {wildcards.dataset:q} > {log:q} 2>&1"
