"""Tables, figures and documents of a suite, made again when a run, a template or their code changes.

Their code: the package's own, and that of installed packages with tables or figures.
"""

from bitswitch.report.collect import collect
from bitswitch.report.figures import figures
from bitswitch.report.document import parts, pdf, sources
from bitswitch.report.tables import tables
from bitswitch.plugins import registry
from bitswitch.results.provenance import plugin_sources

CODE = scheduler.without_wildcards(Path(collect.__file__).parents[1])
TEMPLATES = scheduler.without_wildcards(asset("report"))
SOURCES = [
    str(path)
    for path in (
        *sorted(CODE.rglob("*.py")),
        *sorted(TEMPLATES.rglob("*.*")),
        *map(
            scheduler.without_wildcards,
            plugin_sources(registry.modules(registry.REPORT_GROUPS)),
        ),
    )
]


# What fails here fails again: repeating is for jobs of a cluster, whose nodes may fail.
rule collect:
    input:
        runs=expand("results/runs/{run}/result.json", run=SUITE.runs),
        scores=expand(
            "results/sensitivities/{one}/result.json", one=SUITE.sensitivities
        ),
        searches=expand("results/searches/{one}/result.json", one=SUITE.searches),
        deployments=expand(
            "results/deployments/{one}/result.json", one=SUITE.deployments
        ),
        suite=[str(scheduler.without_wildcards(SUITE_FILE)), *SOURCES],
    output:
        expand("{report}/{name}", report=REPORT, name=collect.OUTPUTS),
    log:
        f"{REPORT}/logs/collect.log",
    retries: 0
    params:
        suite=SUITE_FILE,
        mixed="--allow-mixed" if config["allow_mixed"] else "--no-allow-mixed",
    shell:
        "bitswitch collect {params.mixed:q} -- {params.suite:q} > {log:q} 2>&1"


# One job for all tables and the first page, one for all figures: each takes less time than starting does.
rule tables:
    input:
        rules.collect.output,
    output:
        expand(
            "{report}/tables/{name}.{suffix}",
            report=REPORT,
            name=tables.names(SUITE),
            suffix=("tex", "html"),
        ),
        expand("{report}/{name}", report=REPORT, name=parts.OUTPUTS),
    log:
        f"{REPORT}/logs/tables.log",
    retries: 0
    params:
        suite=SUITE_FILE,
    shell:
        "bitswitch table -- {params.suite:q} > {log:q} 2>&1"


rule figures:
    input:
        rules.collect.output,
    output:
        expand(
            "{report}/figures/{name}.{suffix}",
            report=REPORT,
            name=figures.names(SUITE),
            suffix=("pdf", "png", "svg"),
        ),
    log:
        f"{REPORT}/logs/figures.log",
    retries: 0
    threads: 2
    params:
        suite=SUITE_FILE,
    shell:
        "bitswitch figure --processes={threads:q} -- {params.suite:q} > {log:q} 2>&1"


rule html:
    input:
        rules.collect.output,
        rules.tables.output,
        rules.figures.output,
    output:
        f"{REPORT}/report.html",
    log:
        f"{REPORT}/logs/html.log",
    retries: 0
    params:
        suite=SUITE_FILE,
    shell:
        "bitswitch report -- {params.suite:q} html > {log:q} 2>&1"


rule pdf:
    input:
        rules.html.input,
    output:
        f"{REPORT}/{pdf.output_name()}",
        f"{REPORT}/{sources.NAME}",
    log:
        f"{REPORT}/logs/pdf.log",
    retries: 0
    params:
        suite=SUITE_FILE,
    shell:
        "bitswitch report -- {params.suite:q} pdf > {log:q} 2>&1"
