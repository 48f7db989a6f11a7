"""Ask the server that forks jobs to run a command.

Apart from the server because every job of the workflow starts with it: it imports no bitswitch.
"""

import json
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from types import FrameType

SOCKET_VARIABLE = "BITSWITCH_FORK_SERVER"
"""Environment variable that holds the path of the server's socket."""
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
DECLINED, ENDED = b"-", b"="
"""First bytes of answers; an exit code follows the second."""
HEADER = 8
"""Bytes of a request's length."""


def ask(path: str, argv: list[str]) -> int | None:
    """Have the server at ``path`` run a command, and wait for it.

    SIGTERM, SIGINT and SIGUSR1 go to the child; if this process is killed, so is the child.

    Args:
        path: Of the server's socket.
        argv: The command with its arguments.

    Returns:
        Its exit code, or None where there is no server, or one that has other code loaded.
    """
    request = {"argv": argv, "cwd": str(Path.cwd()), "environ": dict(os.environ)}
    content = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(path)
        except OSError:
            return None

        def forward(number: int, frame: FrameType | None) -> None:
            with suppress(OSError):
                connection.send(bytes([number]))

        for number in FORWARDED:
            signal.signal(number, forward)
        socket.send_fds(connection, [len(content).to_bytes(HEADER)], [0, 1, 2])
        connection.sendall(content)
        answer = connection.recv(2)
    if answer == DECLINED:
        return None
    return answer[1] if answer else 1
