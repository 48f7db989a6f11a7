"""Tables, figures and documents of a suite, made again when a run, a template or their code changes."""

from bitswitch.report import collect, figures, pdf, tables

CODE = [str(path) for path in sorted(TOP.glob("bitswitch/report/*.py"))]
ASSETS = [str(path) for path in sorted(TOP.glob("report/**/*.*"))]


rule collect:
    input:
        runs=expand("results/runs/{run}/result.json", run=SUITE.runs),
        suite=[str(SUITE_FILE), *CODE, *ASSETS],
    output:
        expand("{report}/{name}", report=REPORT, name=collect.OUTPUTS),
    log:
        f"{REPORT}/logs/collect.log",
    params:
        suite=SUITE_FILE,
        mixed="--allow-mixed" if config["allow_mixed"] else "--no-allow-mixed",
    shell:
        "bitswitch collect {params.suite} {params.mixed} > {log} 2>&1"


rule table:
    input:
        rules.collect.output,
    output:
        multiext(f"{REPORT}/tables/{{table}}", ".tex", ".html"),
    log:
        f"{REPORT}/logs/tables/{{table}}.log",
    params:
        suite=SUITE_FILE,
    shell:
        "bitswitch table {params.suite} {wildcards.table} > {log} 2>&1"


rule figure:
    input:
        rules.collect.output,
    output:
        multiext(f"{REPORT}/figures/{{figure}}", ".pdf", ".png"),
    log:
        f"{REPORT}/logs/figures/{{figure}}.log",
    params:
        suite=SUITE_FILE,
    shell:
        "bitswitch figure {params.suite} {wildcards.figure} > {log} 2>&1"


rule html:
    input:
        rules.collect.output,
        expand(rules.table.output, table=tables.names(SUITE)),
        expand(rules.figure.output, figure=figures.names(SUITE)),
    output:
        f"{REPORT}/report.html",
    log:
        f"{REPORT}/logs/html.log",
    params:
        suite=SUITE_FILE,
    shell:
        "bitswitch report {params.suite} html > {log} 2>&1"


rule pdf:
    input:
        rules.html.input,
    output:
        f"{REPORT}/{pdf.output_name()}",
    log:
        f"{REPORT}/logs/pdf.log",
    params:
        suite=SUITE_FILE,
    shell:
        "bitswitch report {params.suite} pdf > {log} 2>&1"
