"""Datasets: made or downloaded once, checked, and marked as ready by what the check found."""


rule prepare:
    output:
        f"{config['data']}/ready/{{dataset}}.json",
    log:
        f"{config['data']}/ready/{{dataset}}.log",
    params:
        suite=SUITE_FILE,
        data=config["data"],
    shell:
        "bitswitch data prepare {wildcards.dataset} --suite {params.suite} --data {params.data}"
        " --facts {output} > {log} 2>&1"
