"""One part of the benchmark in a process of its own, which may fail, hang or lose the device."""

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from bitswitch.results.device_bench import Check, Figure, MeasuredPasses, PartResult
from bitswitch.results.files import parse

ENVIRONMENT = {"OMP_NUM_THREADS": "1"}
"""As the workflow trains."""
REPEATABLE = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""Lets products of matrices be the same every time, if a process asks for that."""
GRACE_S = 20.0
"""What a part may overrun its time by, to end what it has begun."""
QUOTED = 300
"""Letters of an error."""
NO_TIME = "no time left"
OVER = "its time was over before it had done what it was doing"


class Part(NamedTuple):
    """What a process does."""

    name: str
    """Of a module of this package, whose ``measure`` yields findings."""
    title: str
    share: float
    """Of the time that this and all later parts have, relative to theirs."""
    environment: Mapping[str, str] = ENVIRONMENT
    """Variables of its process."""


PARTS = (
    Part("kernels", "quantizers beside float64", 2.0),
    Part(
        "learning",
        "a short run of every method, interrupted and resumed",
        5.0,
        ENVIRONMENT | REPEATABLE,
    ),
    Part("compiled", "compiled steps beside eager ones", 3.0),
    Part("loading", "images that reach the device", 2.0),
    Part("sharing", "several runs at once", 1.5),
    Part("throughput", "steps of the suites", 7.0),
)
"""In the order in which they run; the last one takes what is left."""


class Ended(NamedTuple):
    """What a part has found, and how it ended."""

    result: PartResult
    passes: tuple[MeasuredPasses, ...]


def run(part: Part, device: str, deadline: float, last: float) -> Ended:
    """Run one part and return what it found, all the same where it failed.

    Args:
        part: Which.
        device: As torch names it.
        deadline: When it is to end, on the clock of ``time.monotonic``.
        last: When it is ended.
    """
    began = time.monotonic()
    with TemporaryDirectory(prefix="bitswitch-") as folder:
        file, log = Path(folder) / "found.jsonl", Path(folder) / "log"
        file.touch()
        command = [sys.executable, "-m", __name__, part.name, device, str(deadline), str(file)]
        environment = {**os.environ, **part.environment, "TORCHINDUCTOR_CACHE_DIR": folder}
        with (
            log.open("wb") as said,
            subprocess.Popen(command, env=environment, stdout=said, stderr=said) as process,
        ):
            try:
                code: int | None = process.wait(max(1.0, min(deadline + GRACE_S, last) - began))
            except subprocess.TimeoutExpired:
                code = None
            finally:
                process.kill()
        return _ended(part, list(_findings(file)), code, log, time.monotonic() - began)


def _findings(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield kind and content of all that was written whole."""
    for line in file.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            one = parse(line, str(file))
            yield one["kind"], one["content"]


def _problem(code: int, log: Path) -> str | None:
    """Return why a process broke off by itself; None: it did not."""
    if code == 0:
        return None
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"exit code {code}: {lines[-1][:QUOTED] if lines else 'no message'}"


def _ended(
    part: Part, found: list[tuple[str, dict[str, Any]]], code: int | None, log: Path, seconds: float
) -> Ended:
    """Return what a part found; one whose time was over has failed only if that is nothing.

    Args:
        part: Which.
        found: Kind and content of its findings.
        code: With which its process exited; None: it was ended.
        log: What that said.
        seconds: How long it took.
    """

    def all_of(kind: type[Any]) -> tuple[Any, ...]:
        return tuple(
            kind.of(content, part.name) for name, content in found if name == kind.__name__
        )

    checks, figures, passes = all_of(Check), all_of(Figure), all_of(MeasuredPasses)
    left_out = [content["text"] for name, content in found if name == "LeftOut"]
    problem = OVER if code is None else _problem(code, log)
    if code is None and (checks or figures or passes):
        left_out, problem = [*left_out, OVER], None
    return Ended(
        PartResult(
            name=part.name,
            seconds=seconds,
            checks=checks,
            figures=figures,
            left_out=tuple(left_out),
            problem=problem,
        ),
        passes,
    )


def main(name: str, device: str, deadline: str, file: str) -> None:
    """Write what a part finds to ``file``, a line for each, at once."""
    import torch

    from bitswitch.bench.gpu.setting import Finding, Setting
    from bitswitch.runtime.devices import make_current, resolve

    torch.set_num_threads(1)  # as the workflow trains
    setting = Setting(resolve(device), float(deadline))
    make_current(setting.device)
    module = importlib.import_module(f"bitswitch.bench.gpu.{name}")
    measure: Callable[[Setting], Iterator[Finding]] = module.measure
    with Path(file).open("a") as lines:
        for found in measure(setting):
            one = {"kind": type(found).__name__, "content": found.content()}
            lines.write(json.dumps(one) + "\n")
            lines.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
