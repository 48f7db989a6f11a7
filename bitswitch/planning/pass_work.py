"""What one pass of a run asks of a device: the network's own work, and what its method adds."""

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from bitswitch.errors import BitswitchError
from bitswitch.planning.devices import Work, known
from bitswitch.planning.networks import (
    built,
    dataset_facts,
    float_layers,
    network_size,
    unweighted,
    without_memory,
)
from bitswitch.plugins import facts
from bitswitch.runtime.cache import code_state, digest, remembered
from bitswitch.spec.run import RunSpec

if TYPE_CHECKING:
    from bitswitch.planning.method_work import MethodWork

RECOMPUTED = 4 / 3
"""Work of a trained example whose activations are computed again, for one without."""
MOVED_BY_UPDATE = {"sgd": 5, "adam": 7, "adamw": 7}
"""Numbers per parameter that an update reads and writes: itself, its gradient, moments."""
UPDATE_KERNELS = {"sgd": 1, "adam": 2, "adamw": 2}
"""For each group of parameters: the fused one, and where steps are counted, one for that."""
WEIGHT_GROUPS, SCALE_GROUPS = 2, 1
"""Weights decay, biases and batch norms do not; see ``training.updates.optimizers``."""
METHOD_RECIPE = {"update", "record_scale_gradients", "distillation", "scale_step", "scale_guard"}
"""Keys of a recipe whose values decide what a method adds."""
METHOD_SWITCHES = ("alrs", "label_smoothing", "clip_value", "clip_norm")
"""Keys of a recipe of which it matters whether they are set."""


class NetworkWork(NamedTuple):
    """Of one forward and backward pass at full precision."""

    example: Work
    """For each example."""
    fixed: Work
    """However many there are."""
    inputs: dict[str, float]
    """Numbers that go into each module, for one example."""


def pass_work(run: RunSpec, trained: bool = True) -> Work:
    """Return the work of one forward and backward pass of ``run`` over a batch.

    Args:
        run: Resolved spec; neither its data nor its start are needed.
        trained: Whether the optimizer's share is part of it, and what the recipe changes.
    """
    training, network, method = run.training, network_work(run), _method_work(run)
    batch = training.batch_size
    parts = training.accumulate if trained else 1
    example, fixed, updates = network.example, network.fixed, 1.0
    if method is not None:
        shapes = float_layers(run).quantized
        ends = 0 if facts.first_last_bits(run) is None else 2
        values = sum(network.inputs.get(name, 0.0) for name in shapes)
        example = example._replace(flops=example.flops * method.flops)
        example += method.value.times(values)
        fixed += method.fixed + method.layer.times(max(1, len(shapes) - ends))
        fixed += method.weight.times(sum(prod(shape) for shape in shapes.values()))
        updates = method.updates
    work = example.times(batch) + fixed.times(parts)
    if method is not None and not method.recurs:
        work = work._replace(host_kernels=work.fused_kernels)
    if not trained:
        return work
    work = work.times(RECOMPUTED) if training.checkpoint_activations else work
    work = work._replace(host_s=parts * _python_s(run))
    size = 4 * network_size(run)["parameters"] * MOVED_BY_UPDATE[training.optimizer]
    return work + Work.moving(size, _update_kernels(run)).times(updates)


def _python_s(run: RunSpec) -> float:
    """Return what the host does in a captured pass besides launching kernels."""
    layers, left = float_layers(run), known().attainable
    switched = 0 if run.is_float else len(layers.quantized)
    return len(layers.quantized) * left.captured_layer_s + switched * left.captured_switch_s


def _update_kernels(run: RunSpec) -> int:
    """Return the kernels of one update, which no graph captures."""
    weights, scales = run.training.optimizer, run.training.scale_optimizer
    kernels = WEIGHT_GROUPS * UPDATE_KERNELS[weights]
    return kernels + (0 if run.is_float else SCALE_GROUPS * UPDATE_KERNELS[scales or weights])


def is_bare(run: RunSpec) -> bool:
    """Return whether what the method of ``run`` adds to its network is not counted."""
    return not run.is_float and _method_work(run) is None


def network_work(run: RunSpec) -> NetworkWork:
    """Return the work of the network of ``run``, counted once."""
    bare = unweighted(run)
    key = digest("work", run.model.name, bare.model.options, dataset_facts(run))

    def count() -> tuple[Any, ...]:
        return without_memory(lambda device: _counted(bare, device))

    found = remembered("sizes", digest(key, code_state("bitswitch")), count)
    return NetworkWork(Work(*found[0]), Work(*found[1]), found[2])


def _counted(run: RunSpec, device: str) -> NetworkWork:
    from bitswitch.planning.network_trace import network_traffic

    counted, inputs, examples = network_traffic(run, built(device, run)[1].to(device), device)
    each = (counted.examples + Work(flops=counted.rest.flops)).times(1 / examples)
    fixed = counted.rest._replace(flops=0.0)
    return NetworkWork(each, fixed, {name: size / examples for name, size in inputs.items()})


def _method_work(run: RunSpec) -> "MethodWork | None":
    """Return what the method of ``run`` adds, counted once per recipe.

    None: it adds nothing, trains nothing, or has no step on a stand-in.
    """
    if run.is_float or not facts.trains(run):
        return None
    shapes = float_layers(run).quantized.values()
    linear = 2 * sum(len(shape) == 2 for shape in shapes) > len(shapes)
    about = dataset_facts(run)
    key = digest(
        "method work",
        run.method.model_dump(),
        run.bitset,
        run.training.model_dump(include=METHOD_RECIPE),
        [bool(getattr(run.training, key)) for key in METHOD_SWITCHES],
        (linear, run.sensitivity is not None, run.float_inputs),
        (about["outputs"], about["type"], len(about["shape"])),
        code_state("bitswitch"),
    )

    def count() -> tuple[Any, ...] | None:
        from bitswitch.planning.method_work import method_work

        try:
            return method_work(run, linear)
        except BitswitchError:
            return None

    found = remembered("passes", key, count)
    if found is None:
        return None
    from bitswitch.planning.method_work import MethodWork

    fixed, layer, weight, value = (Work(*one) for one in found[:4])
    return MethodWork(fixed, layer, weight, value, *found[4:])
