"""A server without torch: what is preloaded changes nothing but time."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from bitswitch.cli import client as clients
from bitswitch.cli import entry, fork_server
from bitswitch.spec.run import Choice

TOP = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are served on Linux alone")

SERVER = """
import sys
from pathlib import Path
from types import SimpleNamespace

from bitswitch.cli import fork_server

sys.modules["bitswitch.cli.app"] = SimpleNamespace(main=lambda: exec(sys.argv[1], globals()))
if hashes := {hashes}:
    fork_server.code_hash = lambda parts, left=iter(hashes): next(left)
path = Path(sys.argv[1])
fork_server.Server(path, fork_server.listening(path)).serve()
"""
CLIENT = """
import sys
from bitswitch.cli.client import ask
sys.exit(ask(sys.argv[1], ["job", sys.argv[2]]) or 0)
"""


@pytest.fixture
def server(tmp_path_factory):
    """Return the socket of a server whose commands are Python code."""
    yield from served(tmp_path_factory.mktemp("s"))


def served(folder, hashes=()):
    path = folder / "socket"
    text = SERVER.format(hashes=hashes)
    with subprocess.Popen([sys.executable, "-c", text, str(path)]) as process:
        wait_for(path.exists)
        yield str(path)
        process.kill()


def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def client(server, code, **options):
    command = [sys.executable, "-c", CLIENT, server, code]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, **options)


def test_a_child_has_the_clients_files_folder_and_environment(server, tmp_path):
    code = "import os; print(os.getcwd(), os.environ['WHO'], sys.argv[0])"
    job = client(server, code, cwd=tmp_path, env={**os.environ, "WHO": "me"})
    assert job.communicate()[0] == f"{tmp_path} me job\n"
    assert job.returncode == 0


@pytest.mark.parametrize(
    ("code", "expected"),
    [("sys.exit(7)", 7), ("raise SystemExit", 0), ("raise ValueError('x')", 1)],
)
def test_exit_codes_arrive(server, code, expected):
    job = client(server, code, stderr=subprocess.DEVNULL)
    assert job.wait() == expected


def test_children_run_side_by_side_and_share_nothing(server, tmp_path):
    code = "import bitswitch; had = hasattr(bitswitch, 'x'); bitswitch.x = 1; print(had)"
    jobs = [client(server, code) for _ in range(3)]
    assert [job.communicate()[0] for job in jobs] == ["False\n"] * 3


@pytest.mark.parametrize("number", clients.FORWARDED)
def test_signals_reach_the_child(server, tmp_path, number):
    code = (
        "import signal, time, pathlib\n"
        "def stop(n, f): pathlib.Path('got').write_text(str(int(n))); sys.exit(143)\n"
        f"signal.signal({int(number)}, stop)\n"
        "pathlib.Path('ready').touch()\n"
        "while True: time.sleep(0.05)"
    )
    job = client(server, code, cwd=tmp_path)
    wait_for((tmp_path / "ready").exists)
    job.send_signal(number)
    assert job.wait(timeout=30) == 143
    assert (tmp_path / "got").read_text() == str(int(number))


def test_a_killed_client_takes_its_child_along(server, tmp_path):
    code = (
        "import os, time, pathlib\n"
        "pathlib.Path('pid').write_text(str(os.getpid()))\n"
        "pathlib.Path('ready').touch()\n"
        "while True: time.sleep(0.05)"
    )
    job = client(server, code, cwd=tmp_path)
    wait_for((tmp_path / "ready").exists)
    child = int((tmp_path / "pid").read_text())
    job.kill()
    job.wait()
    wait_for(lambda: not Path(f"/proc/{child}").exists())


def test_a_child_that_is_killed_gives_the_exit_code_of_its_signal(server):
    assert client(server, "import os; os.kill(os.getpid(), 9)").wait() == 128 + 9


def test_children_end_with_their_server(tmp_path):
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    serving = served(tmp_path)
    job = client(next(serving), code)
    child = int(job.stdout.readline())
    next(serving, None)  # which kills it
    assert job.wait(timeout=30) == 1
    wait_for(lambda: not Path(f"/proc/{child}").exists())


def test_a_stopped_child_says_so(server):
    code = "import time; print(1, flush=True); time.sleep(60)"
    job = client(server, code, stderr=subprocess.PIPE)
    job.stdout.readline()
    job.send_signal(2)
    assert (
        job.communicate(timeout=30)[1]
        == "Stopped by SIGINT. What is complete stays: run it again.\n"
    )
    assert job.returncode == 130


@pytest.fixture
def short_folder(monkeypatch):
    """Return a temporary folder of this test alone, short enough for the address of a socket."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


def test_jobs_that_ask_early_wait_for_the_server(monkeypatch, short_folder):
    started = []
    monkeypatch.setattr(
        subprocess, "Popen", lambda command, **options: started.append((command, options))
    )
    path = fork_server.start(short_folder / "suite.yaml")
    ((command, options),) = started
    assert command[3] == path
    assert options["pass_fds"] == [int(command[4])]
    assert Path(path).is_socket()


@pytest.mark.parametrize("length", [5, 150])
def test_a_socket_fits_whatever_the_temporary_folder(monkeypatch, length):
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        folder = Path(short, "t" * length)
        folder.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        path = fork_server._socket_path()
        assert path.is_relative_to(folder) == (length == 5)
        fork_server.listening(path).close()
        path.unlink()


def test_sockets_of_dead_servers_are_removed(short_folder):
    folder = fork_server._socket_path().parent
    with subprocess.Popen(["true"]) as process:
        process.wait()
    (folder / f"fork-server-{process.pid}").touch()
    (folder / f"fork-server-{os.getppid()}").touch()
    fork_server._socket_path()
    assert [path.name for path in folder.iterdir()] == [f"fork-server-{os.getppid()}"]


def test_a_broken_request_ends_nothing(server):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(server)
        connection.send(b"abc")
    assert client(server, "print('still here')").communicate()[0] == "still here\n"


def test_a_server_with_old_code_declines(tmp_path):
    for path in served(tmp_path, hashes=("old", "new")):
        assert clients.ask(path, ["job", "sys.exit(3)"]) is None


def test_without_a_server_there_is_no_answer(tmp_path):
    assert clients.ask(str(tmp_path / "none"), ["job"]) is None


@pytest.mark.parametrize(
    ("changes", "slow"),
    [
        ({}, False),
        ({"model": "resnet18"}, True),
        ({"dataset": "cifar10"}, True),
        ({"compile": True}, True),
    ],
)
def test_slow_libraries_are_loaded_where_they_are_needed(tiny_run, changes, slow):
    training = {"compile": True} if "compile" in changes else {}
    run = tiny_run(**training)
    parts = {key: Choice(name=name) for key, name in changes.items() if key != "compile"}
    runs = {"float": tiny_run((32,)), "joint": run.model_copy(update=parts)}
    loaded = fork_server.libraries(SimpleNamespace(runs=runs, sensitivities={}, searches={}))
    assert loaded == (fork_server.SLOW if slow else ())


IMPORTS = """
import sys
from bitswitch.data.digits import Digits
from bitswitch.models.cifar_resnet import ResNet8, ResNet20
from bitswitch.stages import scoring_job, search_job, training_job

for model in (ResNet8, ResNet20):
    model(model.Options()).build(10, 0)
print([name for name in {slow} if name in sys.modules])
"""


def test_what_is_called_lean_needs_no_slow_library():
    command = [sys.executable, "-c", IMPORTS.format(slow=fork_server.SLOW)]
    assert subprocess.check_output(command, text=True) == "[]\n"


UNTOUCHED = """
import sys
import torch
asked = []
for name in ("_cuda_init", "_cuda_getDeviceCount"):
    setattr(torch._C, name, lambda name=name: asked.append(name) or 0)
torch.cuda._lazy_init = lambda: asked.append("_lazy_init")
from importlib import import_module
from pathlib import Path
from bitswitch.cli import fork_server
for name in fork_server.PRELOADED:
    import_module(name)
suite = fork_server.load_suite(Path("config/suites/mini.yaml"))
for name in {*fork_server.libraries(suite), *fork_server.SLOW}:
    import_module(name)
print(asked, {"scipy.optimize", "bitswitch.sensitivities.hawq_v2"} - set(sys.modules))
"""


@pytest.mark.slow
def test_the_server_never_asks_for_a_gpu():
    """A child of a process that has looked at a GPU cannot use any.

    What searches and scores need is there all the same.
    """
    command = [sys.executable, "-c", UNTOUCHED]
    assert subprocess.check_output(command, text=True, cwd=TOP) == "[] set()\n"


def test_every_command_of_the_workflow_is_forked():
    rules = (file.read_text() for file in (TOP / "workflow" / "rules").glob("*.smk"))
    called = {name for text in rules for name in re.findall(r"bitswitch ([a-z]+) ", text)}
    assert called == set(entry.FORKED) - {"export"}
