"""How long commands and jobs take to start."""

import tempfile
from pathlib import Path

import yaml

from bitswitch import stages
from bitswitch.bench.measured import Measured
from bitswitch.bench.processes import time_python, time_until
from bitswitch.runtime.devices import resolve
from bitswitch.suite.suite import load_suite

CLI = "from bitswitch.cli.app import main; main()"
IMPORTS = {"bitswitch": "0.1 s", "bitswitch.spec.run": "", "torch": ""}
"""Modules, and what is aimed at."""
HELP_LIMIT_S, JOB_LIMIT_S = 0.5, 6.0
JOB_REPEATS = 3

SUITE = {
    "name": "startup",
    "title": "one joint run",
    "data": "embedded",
    "seeds": [0],
    "networks": {
        "resnet20": {
            "title": "ResNet-20",
            "published": "none",
            "model": "resnet20",
            "dataset": "digits",
            "bitsets": [[8, 6, 4, 2]],
            "training": {"epochs": 1, "batch_size": 64, "learning_rate": 5e-4},
        }
    },
    "experiments": {
        "startup": {
            "title": "startup",
            "networks": ["resnet20"],
            "variants": {"joint": {"title": "joint"}},
        }
    },
}


def measure() -> Measured:
    """Time the command line, imports, and a training job until its first step."""
    help_s = time_python(f"import sys; sys.argv[1:] = ['--help']; {CLI}")
    imports = {name: time_python(f"import {name}") for name in IMPORTS}
    job_s = min(_job() for _ in range(JOB_REPEATS))
    rows = [
        ("bitswitch --help", f"{help_s:.2f} s", f"{HELP_LIMIT_S} s"),
        *(
            (f"import {name}", f"{seconds:.2f} s", IMPORTS[name])
            for name, seconds in imports.items()
        ),
        ("a joint job until its first step", f"{job_s:.2f} s", f"{JOB_LIMIT_S} s"),
    ]
    figures = {"help_s": help_s, "job_to_first_step_s": job_s}
    figures |= {f"import_{name.replace('.', '_')}_s": s for name, s in imports.items()}
    title = f"Wall time from the start of a process, on {resolve('auto')}"
    return Measured(title, ("what", "time", "target"), tuple(rows), figures)


def _job() -> float:
    """Return the seconds from the start of ``bitswitch train`` until its first step begins."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "suite.yaml"
        path.write_text(yaml.safe_dump(SUITE))
        (run,) = load_suite(path).runs.values()
        stages.prepare(run.dataset, folder / "data")
        heartbeat = folder / "results" / "runs" / run.run_id / "progress.json"
        options = {"--data": folder / "data", "--results": folder / "results"}
        words = [str(word) for option in options.items() for word in option]
        return time_until(heartbeat.exists, CLI, "train", str(path), run.run_id, *words)
