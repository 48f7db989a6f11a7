"""One process that has imported torch and forks a child for every job that asks.

``python -m bitswitch.cli.fork_server PATH SOCKET SUITE`` serves until the process that started it
is gone and its last child has ended. A request brings the job's arguments, folder, environment and
its three standard files; the child is then like a process of its own: own clock, own signals, own
exit code. The server itself runs nothing and starts no thread, so that forking is safe.
"""

import ctypes
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from bitswitch.cli.client import DECLINED, ENDED, HEADER
from bitswitch.errors import BitswitchError, LockError
from bitswitch.plugins import registry
from bitswitch.results.provenance import code_hash, plugin_hashes
from bitswitch.runtime import stopping
from bitswitch.runtime.drafts import is_alive
from bitswitch.runtime.locks import keep_compiled_code_private, private_folder
from bitswitch.suite.suite import Suite, load_suite

PRELOADED = (
    "torch",
    "bitswitch.cli.app",
    "bitswitch.stages.training_job",
    "bitswitch.stages.scoring_job",
    "bitswitch.stages.search_job",
)
SLOW = ("torch._dynamo", "torchvision", "timm")
"""What takes long to import, and is preloaded where it may be needed."""
LEAN = {"digits", "resnet8", "resnet20"}
"""Datasets and models that need none of it."""
ORPHAN_CHECK_S = 2.0
REQUEST_TIMEOUT_S = 10.0
LONGEST_PATH = 100
"""Bytes that fit into the address of a socket, with some to spare."""
PR_SET_PDEATHSIG = 1


def start(suite: Path) -> str | None:
    """Start a server that lasts as long as this process, and return the path of its socket.

    Args:
        suite: Whose jobs will ask; the server reads it once for all of them.

    Returns:
        None where there is no place for a socket that others cannot reach, or where forking a
        process that has torch loaded is not known to be safe.
    """
    path = _socket_path() if sys.platform == "linux" else None
    if path is None:
        return None
    # Jobs that ask before the server has started wait for it.
    with listening(path) as listener:
        socket_number = listener.fileno()
        command = [sys.executable, "-m", "bitswitch.cli.fork_server"]
        subprocess.Popen(
            [*command, str(path), str(socket_number), str(suite)],
            stdin=subprocess.DEVNULL,
            pass_fds=[socket_number],
            start_new_session=True,
        )
    return str(path)


def listening(path: Path) -> socket.socket:
    """Return a socket that listens at ``path``; whoever sees it is answered."""
    draft = path.with_name(f".{path.name}")
    draft.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(draft))
    listener.listen()
    draft.rename(path)
    return listener


def _socket_path() -> Path | None:
    """Return where the socket of this process's server goes; what dead ones left is removed.

    A long path does not fit into an address, so then it lies in ``/tmp``.
    """
    for parent in (None, Path("/tmp")):
        with suppress(LockError):
            folder = private_folder(parent)
            for left in folder.glob("fork-server-*"):
                if not is_alive(int(left.name.rpartition("-")[2])):
                    left.unlink(missing_ok=True)
            path = folder / f"fork-server-{os.getpid()}"
            if len(os.fsencode(path)) <= LONGEST_PATH:
                return path
    return None


class Server:
    """Forks children on request.

    Args:
        path: Of the socket, removed at the end.
        listener: The socket.
    """

    def __init__(self, path: Path, listener: socket.socket) -> None:
        self.parent, self.process = os.getppid(), os.getpid()
        self.code = _code()
        self.children: dict[int, socket.socket] = {}
        self.listener = listener
        self.path = path

    def serve(self) -> None:
        """Answer requests until the parent is gone and all children have ended."""
        self.selector = selectors.DefaultSelector()
        ended, waker = socket.socketpair()
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno())
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self.selector.register(ended, selectors.EVENT_READ)
        self.selector.register(self.listener, selectors.EVENT_READ)
        while self.children or os.getppid() == self.parent:
            for key, _ in self.selector.select(ORPHAN_CHECK_S):
                if key.fileobj is ended:
                    ended.recv(4096)
                    self._reap()
                elif key.fileobj is self.listener:
                    self._accept()
                else:
                    self._forward(key.data)
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        """Fork a child for the next request; one that breaks off is dropped."""
        connection, _ = self.listener.accept()
        try:
            connection.settimeout(REQUEST_TIMEOUT_S)
            header, files, _, _ = socket.recv_fds(connection, HEADER, 3)
            content = _received(connection, int.from_bytes(header))
            connection.settimeout(None)
        except (OSError, ValueError):
            connection.close()
            return
        if _code() == self.code:
            child = os.fork()
            if child == 0:
                self._become(json.loads(content), files)
            self.children[child] = connection
            self.selector.register(connection, selectors.EVENT_READ, child)
        else:
            connection.send(DECLINED)
            connection.close()
        for file in files:
            os.close(file)

    def _become(self, request: dict[str, Any], files: list[int]) -> None:
        """Run a request in this process, a fresh child, and end it."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            stopping.listen()
            _end_with(self.process)
            self.listener.close()
            for connection in self.children.values():
                connection.close()
            for target, file in enumerate(files):
                os.dup2(file, target)
            os.chdir(request["cwd"])
            os.environ.clear()
            os.environ.update(request["environ"])
            sys.argv = request["argv"]
            with stopping.exit_kept():
                code = _run()
        except SystemExit as end:  # a signal before the command began
            code = end.code if isinstance(end.code, int) else 1
        except Exception:  # as the interpreter does; beyond this frame lies the server
            traceback.print_exc()
        finally:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _forward(self, child: int) -> None:
        """Pass a signal on to a child, or kill it where its client is gone."""
        connection = self.children[child]
        with suppress(OSError):
            sent = connection.recv(1)
            with suppress(ProcessLookupError):
                os.kill(child, sent[0] if sent else signal.SIGKILL)
            if sent:
                return
        self.selector.unregister(connection)

    def _reap(self) -> None:
        """Tell clients how their children ended."""
        while self.children:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                return
            connection = self.children.pop(child)
            with suppress(KeyError):
                self.selector.unregister(connection)
            code = os.waitstatus_to_exitcode(status)  # negative: the signal that ended it
            with suppress(OSError):
                connection.send(ENDED + bytes([code if code >= 0 else 128 - code]))
            connection.close()


def _code() -> tuple[str, dict[str, str]]:
    """Return what changes when code is edited that children would run: ours, and plugins'."""
    return code_hash("explore"), plugin_hashes(registry.modules())


def libraries(suite: Suite) -> tuple[str, ...]:
    """Return what to preload for ``suite`` beside torch; import the plugins that do its work."""
    runs = suite.runs.values()
    working = {
        "methods": {run.method.name for run in runs},
        "sensitivities": {one.sensitivity.name for one in suite.sensitivities.values()},
        "searches": {one.search.name for one in suite.searches.values()},
    }
    for group, names in working.items():
        for name in names:
            with suppress(BitswitchError):  # its own job says it
                registry.load(group, name)
    named = {choice.name for run in runs for choice in (run.model, run.dataset)}
    return SLOW if named - LEAN or any(run.training.compile for run in runs) else ()


def _received(connection: socket.socket, size: int) -> bytes:
    """Return exactly ``size`` bytes.

    Raises:
        ValueError: there are fewer.
    """
    content = b""
    while len(content) < size:
        part = connection.recv(size - len(content))
        if not part:
            raise ValueError("the request breaks off")
        content += part
    return content


def _end_with(parent: int) -> None:
    """Let the system kill this process when ``parent``, which has forked it, is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _run() -> int:
    """Run the command line; return its exit code."""
    from bitswitch.cli.app import main

    try:
        main()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    return 0


def main() -> None:
    """Serve the jobs of a suite; the command line names the socket twice, and the suite's file."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_compiled_code_private()
    path, number, suite_file = sys.argv[1:]
    server = Server(Path(path), socket.socket(fileno=int(number)))
    for name in PRELOADED:
        import_module(name)
    # Its children remember it.
    for name in libraries(load_suite(Path(suite_file))):
        import_module(name)
    server.serve()


if __name__ == "__main__":
    main()
