import sys

import pytest

from bitswitch.cli import app as cli
from bitswitch.cli import client, entry
from bitswitch.runtime import stopping


@pytest.fixture(autouse=True)
def deaf(monkeypatch):
    """Leave the signals and the environment of the tests alone."""
    monkeypatch.setattr(stopping, "SIGNALS", ())
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "unused")


@pytest.mark.parametrize(
    ("arguments", "answer", "asked", "run"),
    [
        (["train", "suite", "run"], 4, True, False),
        (["train", "suite", "run"], None, True, True),
        (["data", "prepare", "digits"], 4, True, False),
        (["plugins", "list"], 4, False, True),
        ([], 4, False, True),
    ],
)
def test_only_heavy_commands_are_served(monkeypatch, arguments, answer, asked, run):
    calls = []
    monkeypatch.setenv(client.SOCKET_VARIABLE, "socket")
    monkeypatch.setattr(sys, "argv", ["bitswitch", *arguments])
    monkeypatch.setattr(client, "ask", lambda path, argv: calls.append("asked") or answer)
    monkeypatch.setattr(cli, "main", lambda: calls.append("run"))
    if run:
        entry.main()
    else:
        with pytest.raises(SystemExit) as end:
            entry.main()
        assert end.value.code == answer
    assert calls == ["asked"] * asked + ["run"] * run


def test_without_a_server_the_command_runs_here(monkeypatch):
    monkeypatch.delenv(client.SOCKET_VARIABLE, raising=False)
    monkeypatch.setattr(sys, "argv", ["bitswitch", "train"])
    monkeypatch.setattr(cli, "main", lambda: calls.append("run"))
    calls = []
    entry.main()
    assert calls == ["run"]


def test_forked_commands_exist():
    commands = {cli.name_of(command) for commands in cli.PANELS.values() for command in commands}
    assert set(entry.FORKED) <= commands | {group.name for group in cli.app.registered_groups}
