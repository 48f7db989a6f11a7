"""Several runs on one device at once, as ``runs_per_gpu`` makes them: steps per second in all."""

import multiprocessing
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import NamedTuple

from bitswitch.bench.gpu.process import NO_TIME
from bitswitch.bench.gpu.setting import Finding, LeftOut, Setting
from bitswitch.results.device_bench import Figure

COUNTS, TRIAL = (1, 2, 4), (1, 2)
"""Runs at once, on a GPU and to try it out."""
ROUND_S, TRIAL_S = 4.0, 0.3
METHOD = "double-rounding"
START_S = 120.0
"""Processes that take longer to start are given up."""


class Worker(NamedTuple):
    """A process that takes steps when it is told to."""

    process: "multiprocessing.process.BaseProcess"
    line: "Connection[object, object]"

    def ask(self, seconds: float) -> None:
        """Let it take steps for so long."""
        self.line.send(seconds)

    def answer(self, patience: float) -> float:
        """Return the steps per second that it took, or 0 once it is ready.

        Raises:
            RuntimeError: it failed, or gives no answer in time.
        """
        if not self.line.poll(patience):
            raise RuntimeError(f"a process gave no answer in {patience:.0f} s")
        try:
            said = self.line.recv()
        except EOFError:
            raise RuntimeError(f"a process ended ({self.process.exitcode})") from None
        if isinstance(said, str):
            raise RuntimeError(said)
        return float(str(said))


def measure(setting: Setting) -> Iterator[Finding]:
    """Start as many processes as share the device at most; let 1, then more of them work."""
    counts, seconds = (TRIAL, TRIAL_S) if setting.is_trial else (COUNTS, ROUND_S)
    workers = [_started(str(setting.device)) for _ in range(max(counts))]
    try:
        for worker in workers:
            worker.answer(START_S)
        for count in counts:
            if not setting.has(seconds):
                yield LeftOut(text=f"{count} runs at once: {NO_TIME}")
                continue
            speeds = _together(workers[:count], seconds)
            yield Figure(name=f"{count} at once, in all", value=sum(speeds), unit="steps/s")
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.join()


def _together(workers: Sequence[Worker], seconds: float) -> list[float]:
    for worker in workers:
        worker.ask(seconds)
    return [worker.answer(seconds + START_S) for worker in workers]


def _started(device: str) -> Worker:
    """Start a process; a fork could not use a GPU that its parent has looked at."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(device, there), daemon=True)
    process.start()
    there.close()
    return Worker(process, here)


def _work(device: str, line: "Connection[object, object]") -> None:
    """Take steps whenever asked to, of the run that most of the suites are made of."""
    try:
        import torch

        from bitswitch.bench.alternating import BITSET, spec
        from bitswitch.bench.gpu.learning import small_run
        from bitswitch.bench.gpu.throughput import still, take
        from bitswitch.planning.probe import synthetic
        from bitswitch.training.clock import Instant
        from bitswitch.training.unread import STEPS

        torch.set_num_threads(1)
        setting = Setting.lasting(torch.device(device), START_S)
        small, usual = small_run(METHOD, BITSET), spec(METHOD, BITSET)
        training = synthetic(still(small if setting.is_trial else usual), device)
        take(training, 1, setting)
        line.send(0.0)
        at_once = 1 if setting.is_trial else STEPS
        while True:
            seconds = float(str(line.recv()))
            began, steps = Instant.now().wall, 0
            while Instant.now().wall - began < seconds:
                take(training, at_once, setting)
                steps += at_once
            line.send(steps / (Instant.now().wall - began))
    except EOFError:
        return
    except Exception as error:
        line.send(f"{type(error).__name__}: {error}")
