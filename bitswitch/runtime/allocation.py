"""What a cluster has given to one job of the workflow alone: its GPUs, its time, its signals.

Snakemake on a login node submits each job, and a Snakemake of its own runs it in the allocation.
That one reads the Snakefile too, and says so here.
"""

import os
import signal
import subprocess

VARIABLE = "BITSWITCH_ALLOCATION"
"""Environment variable that names the allocation whose only job this process belongs to."""
SLURM_JOB = "SLURM_JOB_ID"
WARNING = signal.SIGUSR1
"""What comes before a time limit, by ``sbatch --signal``; see ``profiles/slurm``."""
TIMEOUT_S = 60.0
"""For an answer of Slurm."""


def enter() -> None:
    """Take what this process starts for the only job of the allocation it is in.

    Slurm warns every process of a job, and the shells and Snakemakes around a training run would
    die of it before the run has saved its state. So they ignore the warning, as all do that this
    process starts; a training run listens again.
    """
    signal.signal(WARNING, signal.SIG_IGN)
    os.environ[VARIABLE] = os.environ.get(SLURM_JOB, "")


def is_own() -> bool:
    """Return whether this process belongs to the only job of its allocation."""
    return bool(name := os.environ.get(SLURM_JOB)) and os.environ.get(VARIABLE) == name


def requeue() -> str:
    """Put the job of this allocation back into the queue, which ends it here; say what came of it.

    Slurm then starts it anew, under the same number, so that nobody who waits for it sees it fail.
    """
    command = ["scontrol", "requeue", os.environ[SLURM_JOB]]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip()
        return f"Slurm does not start it again ({reason}); Snakemake may."
    return f"Slurm starts job {os.environ[SLURM_JOB]} again."
