rule html:
    input:
        expand("results/runs/{run}/result.json", run=SUITE.runs),
    output:
        f"{REPORT}/report.html",
    shell:
        "touch {output}"


rule pdf:
    input:
        rules.html.output,
    output:
        f"{REPORT}/report.pdf",
    shell:
        "touch {output}"
