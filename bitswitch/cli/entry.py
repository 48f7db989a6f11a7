"""The `bitswitch` command: here, or in a fork of a process that has torch loaded already.

Importing torch takes longer than many a small run. While a suite is built,
``bitswitch.cli.fork_server`` keeps one process that has imported it; jobs of the workflow find it
by an environment variable and let it fork a child for them, which starts at once. Wherever that
process cannot be reached, on another node say, the command runs here.
"""

import os
import sys

from bitswitch.runtime import instructions, stopping

REPORTING = ("collect", "table", "figure", "report")
"""Commands that expand the suite; the first also imports the plugins that it describes."""
FORKED = ("data", "train", "score", "search", "export", "deploy", *REPORTING)
"""Commands that take less time from there: they import torch, or load what it has loaded."""


def main() -> None:
    """Run the command line and exit; a signal ends it in order from here on."""
    stopping.listen()
    instructions.pin()
    try:
        stopping.follow(os.environ.get(stopping.SCHEDULER_VARIABLE, ""))
        with stopping.exit_kept():
            _run()
    finally:
        stopping.be_silent()


def _run() -> None:
    from bitswitch.cli.client import SOCKET_VARIABLE, ask
    from bitswitch.runtime.locks import keep_compiled_code_private

    keep_compiled_code_private()
    path = os.environ.get(SOCKET_VARIABLE)
    code = ask(path, sys.argv) if path and sys.argv[1:2] and sys.argv[1] in FORKED else None
    if code is not None:
        sys.exit(code)
    from bitswitch.cli.app import main as run

    run()
