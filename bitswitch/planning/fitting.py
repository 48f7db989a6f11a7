"""Which runs need more memory than a GPU has, and what lets them fit."""

from bitswitch.planning.memory import training_bytes
from bitswitch.planning.networks import built, unweighted, without_memory
from bitswitch.plugins import facts
from bitswitch.spec.run import RunSpec
from bitswitch.suite.suite import Suite

RESERVED = 1e9
"""Bytes that the libraries of a GPU take for themselves."""
MOST_GPUS = 8
"""On one machine."""


def too_large(suite: Suite, memory: float, name: str, runs_per_gpu: int = 1) -> list[str]:
    """Return what does not fit a GPU, a sentence for each network and batch, with the remedy.

    Args:
        suite: All its runs are looked at.
        memory: Of the GPU, in bytes.
        name: Of the GPU.
        runs_per_gpu: How many runs are to share it.
    """
    free = memory - RESERVED
    largest: dict[tuple[object, ...], RunSpec] = {}
    for run in suite.runs.values():
        if facts.trains(run):
            key = run.model.name, run.dataset.name, run.training.batch_size
            before = largest.get(key)
            if before is None or training_bytes(run) > training_bytes(before):
                largest[key] = run
    return [
        sentence
        for run in largest.values()
        for sentence in _sentences(run, free, name, runs_per_gpu)
    ]


def _sentences(run: RunSpec, free: float, name: str, runs_per_gpu: int) -> list[str]:
    """Return what is to be said of one run."""
    needed = training_bytes(run)
    what = f"{run.model.name} on {run.dataset.name}, batch {run.training.batch_size}"
    if needed > free:
        return [
            f"{what}, needs {_gib(needed)} at least, and {name} has {_gib(free)} to spare: "
            f"{_remedies(run, free)}"
        ]
    shared = int(free // needed)
    if shared < runs_per_gpu:
        return [
            f"{what}, needs {_gib(needed)} at least: {shared} runs share {name}, not {runs_per_gpu}"
        ]
    return []


def _remedies(run: RunSpec, free: float) -> str:
    """Return the changes that let a run fit, each alone where that is enough."""
    found = []
    again = not run.training.checkpoint_activations and _has_blocks(run)
    if again and _bytes(run, checkpoint_activations=True) <= free:
        found.append("training.checkpoint_activations: true")
    for accumulate in _divisors(run):
        if _bytes(run, accumulate=accumulate) <= free:
            found.append(f"training.accumulate: {accumulate}")
            break
    for gpus in (2, 4, MOST_GPUS):
        if (
            run.training.batch_size % gpus == 0
            and _bytes(run, accumulate=run.training.accumulate * gpus) <= free
        ):
            found.append(f"--processes {gpus}, a GPU each")
            break
    if found:
        return ", or ".join(found)
    both = run.training.batch_size // run.training.accumulate
    if (
        again
        and _bytes(run, checkpoint_activations=True, accumulate=run.training.accumulate * both)
        <= free
    ):
        return "training.checkpoint_activations: true with training.accumulate"
    return "not even one example at a time fits; take a GPU with more memory"


def _divisors(run: RunSpec) -> list[int]:
    """Return into how many parts the batch of a run can be cut, more than now."""
    size, now = run.training.batch_size, run.training.accumulate
    return [parts for parts in range(now + 1, size + 1) if size % parts == 0]


def _bytes(run: RunSpec, **changes: object) -> int:
    """Return what a run would need with other training settings."""
    return training_bytes(
        run.model_copy(update={"training": run.training.model_copy(update=changes)})
    )


def _has_blocks(run: RunSpec) -> bool:
    """Return whether activations of the network can be computed again."""

    def ask(device: str) -> bool:
        model, net = built(device, unweighted(run))
        return bool(model.recomputable(net))

    return without_memory(ask)


def _gib(size: float) -> str:
    return f"{size / 2**30:,.1f} GiB"
