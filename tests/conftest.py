"""What several areas need: a dataset that is made in a second, and runs on it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from bitswitch.plugins.resolve import resolved, resolved_choice
from bitswitch.runtime import instructions
from bitswitch.spec.run import Choice, RunSpec

# As commands do, and before anything here uses torch.
instructions.pin()

TINY = {"name": "digits", "options": {"size": 8, "train": 48, "held_out": 20, "test": 40}}

# The same examples every time; `pytest --hypothesis-profile default` looks for new ones. What torch
# does at its first call of a kind, or on a busy machine, is no failure: nothing is timed.
settings.register_profile(
    "same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with slow tests, so that processes which share the tests end together."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture
def bitswitch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int | str, str, str]]:
    """Run the command line; return exit code, output and messages."""
    from bitswitch.cli import app

    def run(*arguments: object) -> tuple[int | str, str, str]:
        monkeypatch.setattr(sys, "argv", ["bitswitch", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            app.main()
        written = capsys.readouterr()
        return ended.value.code or 0, written.out, written.err

    return run


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder that holds 8x8 digits."""
    from bitswitch import stages

    folder = tmp_path_factory.mktemp("data")
    stages.prepare(resolved_choice(Choice.model_validate(TINY), "datasets"), folder)
    return folder


@pytest.fixture
def tiny_run() -> Callable[..., RunSpec]:
    """Return a function that makes a run of ResNet-8 on 8x8 digits, three steps per epoch.

    Of double rounding with its own recipe.
    """

    def make(bitset: tuple[int, ...] = (8, 4, 2), seed: int = 0, **training: Any) -> RunSpec:
        recipe: dict[str, Any] = {"update": "separate", "alrs": {"variant": "relative"}}
        if bitset == (32,):
            recipe = {}
        fields = {
            "method": "float32" if bitset == (32,) else "double-rounding",
            "model": "resnet8",
            "dataset": TINY,
            "bitset": bitset,
            "seed": seed,
            "training": {
                "epochs": 2,
                "batch_size": 16,
                "learning_rate": 5e-4,
                "weight_decay": 5e-5,
                **recipe,
                **training,
            },
        }
        return resolved(RunSpec.model_validate(fields))

    return make
