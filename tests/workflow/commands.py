"""Commands in processes of their own, as a user types them."""

import os
import subprocess


def said(*command, cwd, **environment):
    """Return what a command prints; it must not fail."""
    answer = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout
    return answer.stdout
