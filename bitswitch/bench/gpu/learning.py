"""A short run of every method on the device: trained whole, and once more with an interruption.

Both are made in deterministic mode, so that their records and their networks must be the same to
the last bit.
"""

import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from bitswitch import stages
from bitswitch.bench.gpu.process import NO_TIME
from bitswitch.bench.gpu.setting import SHORT, Finding, LeftOut, Setting, Stopwatch, failed
from bitswitch.errors import Interrupted
from bitswitch.plugins import facts, registry
from bitswitch.plugins.resolve import resolved
from bitswitch.results.device_bench import Check
from bitswitch.results.files import read_json
from bitswitch.runtime.ranks import ALONE
from bitswitch.spec.run import RunSpec, SensitivitySpec
from bitswitch.stages.execution import Execution
from bitswitch.stages.training_job import TrainingJob
from bitswitch.training import checkpoint
from bitswitch.training.build import Parts
from bitswitch.training.clock import Instant
from bitswitch.training.directory import RunDirectory
from bitswitch.training.interruption import StopRequest
from bitswitch.types import FLOAT_BITS, BitSet

BITSETS: tuple[BitSet, ...] = ((8, 4, 2), (8,), (4,))
"""A method runs at the first that it accepts."""
DIGITS = {"size": 8, "train": 160, "held_out": 40, "test": 40}
BATCH_SIZE, EPOCHS = 32, 2
INTERRUPTED_AFTER = 3
"""Batches."""
FIRST = (
    "float32",
    "double-rounding",
    "lsq",
    "adabits",
    "hasb",
    "eq-net",
    "multiquant",
    "bit-mixer",
)
"""Methods of which the suites have most runs; the others follow by name."""
COMPARED = ("train.jsonl", "metrics.jsonl")


class StopAfter(StopRequest):
    """Sends this process the signal that clusters send, before a batch of so many.

    Args:
        batches: Which are done before.
    """

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.left = batches

    def check(self) -> None:
        if self.left == 0:
            signal.raise_signal(signal.SIGUSR1)
        self.left -= 1
        super().check()


def measure(setting: Setting) -> Iterator[Finding]:
    """Run every method, those first that suites need most."""
    installed = registry.names("methods")
    order = [*FIRST, *(name for name in installed if name not in FIRST)]
    watch = Stopwatch(setting)
    with tempfile.TemporaryDirectory() as folder, deterministic():
        for name in order:
            if not watch.has_time():
                yield LeftOut(text=f"{name}: {NO_TIME}")
                continue
            with watch.timed():
                yield from checked(name, setting.device, Path(folder))


@contextmanager
def deterministic() -> Iterator[None]:
    """Let the device compute the same every time, where it can; what cannot warns."""
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


def checked(method: str, device: torch.device, folder: Path) -> Iterator[Check | LeftOut]:
    """Check one method; an error is a finding."""
    run = accepted(method)
    if run is None:
        yield LeftOut(text=f"{method}: it accepts none of {', '.join(map(str, BITSETS))} on images")
        return
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            yield from _twice(run, device, folder)
        for text in sorted({str(one.message).partition("\n")[0] for one in said}):
            if "deterministic" in text:
                yield LeftOut(text=f"{method}: bits that follow from the seed alone: {text[:200]}")
    except Exception as error:
        yield failed(method, error)


def accepted(method: str) -> RunSpec | None:
    """Return the run of ``method`` on small digits, at a bit set that it accepts."""
    for bitset in ((FLOAT_BITS,),) if method == "float32" else BITSETS:
        run = small_run(method, bitset)
        if facts.refusal(run) is None:
            return run
    return None


def small_run(method: str, bitset: BitSet) -> RunSpec:
    """Return a short run; what guides a method are scores of the network it starts from."""
    fields: dict[str, Any] = {
        "method": {"name": method, "options": SHORT.get(method, {})},
        "model": "resnet8",
        "dataset": {"name": "digits", "options": DIGITS},
        "bitset": bitset,
        "seed": 0,
        "training": {"epochs": EPOCHS, "batch_size": BATCH_SIZE, "learning_rate": 5e-4},
    }
    if facts.is_guided(method):
        scored = fields | {"method": "double-rounding"}
        fields["sensitivity"] = {
            "sensitivity": "uniform",
            "run": scored,
            "bitset": bitset,
            "epoch": 0,
        }
    return resolved(RunSpec.model_validate(fields))


def _twice(run: RunSpec, device: torch.device, folder: Path) -> Iterator[Check]:
    """Train ``run`` whole, and again with an interruption; say whether both are the same."""
    data = folder / "data"
    whole, parted = (
        Execution(folder / name, data, device, save_interval_s=0.0) for name in ("whole", "parted")
    )
    stages.prepare(run.dataset, data)
    for execution in (whole, parted):
        if run.sensitivity is not None:
            _score(run.sensitivity, execution)
    name = run.method.name
    _train(run, whole, StopRequest())
    result = read_json(whole.runs / run.run_id / "result.json")
    problem = str(result["diagnosis"]) if result["status"] == "diverged" else None
    yield Check(name=f"{name}, trained", problem=problem)
    if facts.trains(run):
        yield Check(name=f"{name}, interrupted", problem=_interrupted(run, parted))
    _train(run, parted, StopRequest())
    yield Check(name=f"{name}, the same again", problem=difference(run, whole.runs, parted.runs))


def _score(spec: SensitivitySpec, execution: Execution) -> None:
    stages.score(spec, execution.results, execution.data, str(execution.device))


def _interrupted(run: RunSpec, execution: Execution) -> str | None:
    """Train ``run`` up to an interruption; return what is wrong with that."""
    try:
        _train(run, execution, StopAfter(INTERRUPTED_AFTER))
    except Interrupted:
        saved = (execution.runs / run.run_id / checkpoint.NAME).exists()
        return None if saved else "it stopped without saving its state"
    return "it did not stop when it was asked to"


def _train(run: RunSpec, execution: Execution, stop: StopRequest) -> None:
    """Train ``run`` as the stage does, stopped as ``stop`` says."""
    folder = execution.runs / run.run_id
    with (
        stop,
        RunDirectory(folder) as directory,
        TrainingJob(Parts.of(run), execution, Instant.now(), directory, stop, ALONE, folder) as job,
    ):
        job.train()


def difference(run: RunSpec, first: Path, second: Path) -> str | None:
    """Return in what two folders of runs differ; None: in nothing that decides numbers."""
    one, other = first / run.run_id, second / run.run_id
    for name in COMPARED:
        if (one / name).read_bytes() != (other / name).read_bytes():
            return f"{name} of the interrupted run is another"
    states = [checkpoint.load(path / checkpoint.NAME, run.run_id)["model"] for path in (one, other)]
    apart = [name for name in states[0] if not torch.equal(states[0][name], states[1][name])]
    return f"{len(apart)} tensors of the network differ, first {apart[0]}" if apart else None
