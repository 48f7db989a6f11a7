"""What a suite of thousands of runs costs before any of them begins."""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bitswitch.assets import asset
from bitswitch.bench.measured import Measured
from bitswitch.spec import yaml_text
from bitswitch.spec.yaml_files import read_yaml
from bitswitch.suite.suite import load_suite

SEEDS = 39
"""So that there are 5 000 runs of all methods on all networks of `mini`."""
EXPANSION_LIMIT_S, DRY_RUN_LIMIT_S = 3.0, 10.0
EXPAND = """
import sys
from pathlib import Path
from bitswitch.suite.suite import load_suite

suite = load_suite(Path(sys.argv[1]))
suite.runs, suite.sensitivities, suite.searches, suite.deployments
"""


def measure(seeds: int = SEEDS) -> Measured:
    """Take the processor time to expand a suite, and of a dry run of the workflow."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "many.yaml")
        path.write_text(yaml_text.dump(many(seeds)))
        suite = load_suite(path)  # plugins are asked once, and what they say is remembered
        count = f"{len(suite.runs)} runs"
        parts = (suite.runs, suite.sensitivities, suite.searches, suite.deployments)
        jobs = sum(len(part) for part in parts)
        start_s = _seconds([sys.executable, "-c", "import bitswitch.suite.suite", str(path)])
        expansion_s = _seconds([sys.executable, "-c", EXPAND, str(path)]) - start_s
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(asset("Snakefile"))]
        dry_s = _seconds([*command, "--dry-run", "all", "--config", f"suite={path}"])
    rows = (
        (f"all specs of {count}", f"{expansion_s:.2f} s", f"{EXPANSION_LIMIT_S:.0f} s"),
        (f"snakemake --dry-run, {jobs} jobs", f"{dry_s:.2f} s", f"{DRY_RUN_LIMIT_S:.0f} s"),
    )
    figures = {"runs": len(suite.runs), "expansion_s": expansion_s, "dry_run_s": dry_s}
    title = f"Processor time before any job begins: suite mini with {seeds} seeds for everything"
    return Measured(title, ("what", "time", "target"), rows, figures)


def many(seeds: int) -> dict[str, Any]:
    """Return the suite `mini` with so many seeds for every row."""
    content: dict[str, Any] = read_yaml(asset("config", "suites", "mini.yaml"))
    content |= {"name": "many", "seeds": list(range(seeds))}
    for part in (*content["networks"].values(), *content["experiments"].values()):
        (part or {}).pop("seeds", None)
    return content


def _seconds(command: Sequence[str]) -> float:
    """Return the processor time of a command, single-threaded."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
