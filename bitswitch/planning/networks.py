"""The network of a run, without its weights: how large it is, and which layers are quantized.

It is built without memory where that is possible, and what is found is remembered in ``.cache``.
"""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from bitswitch.errors import BitswitchError, PluginError, SpecError
from bitswitch.plugins import facts, registry
from bitswitch.runtime.cache import code_state, digest, remembered
from bitswitch.spec.run import RunSpec

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


def dataset_facts(run: RunSpec) -> dict[str, Any]:
    """Return what can be said of the dataset of ``run`` without its data."""
    return facts.dataset_facts(run.dataset.name, run.dataset.options)


def made_up_inputs(run: RunSpec, count: int) -> "Tensor":
    """Return made-up inputs of the dataset of ``run``."""
    from bitswitch.runtime.randomness import generator

    dataset = registry.create("datasets", run.dataset.name, run.dataset.options)
    inputs: Tensor = dataset.example(count, generator("example")).inputs
    return inputs


def unweighted(run: RunSpec) -> RunSpec:
    """Return ``run`` without pretrained weights, which layers do not depend on."""
    weights = {"weights": "none"} if "weights" in run.model.options else {}
    model = run.model.model_copy(update={"options": run.model.options | weights})
    return run.model_copy(update={"model": model})


def network_size(run: RunSpec) -> dict[str, int]:
    """Return the number of parameters, of layers, and of operations to train on one example once.

    Raises:
        PluginError: the network cannot be built, or does not take an input of the dataset.
    """
    bare = unweighted(run)
    key = digest(run.model.name, bare.model.options, dataset_facts(run), code_state("bitswitch"))
    size: dict[str, int] = remembered(
        "sizes", key, lambda: without_memory(lambda device: _size_on(device, bare))
    )
    return size


class FloatLayers(NamedTuple):
    """What stays at full precision in a quantized network besides first and last layers."""

    names: list[str]
    weights: int
    """Their weights."""
    all_weights: int
    """Those of all layers of the network."""
    quantized: dict[str, list[int]]
    """Shape of the weight of every layer that is quantized."""
    first: list[str]
    """Layers whose input is that of the network, which stays float."""


def check_layers(run: RunSpec) -> None:
    """Raise unless the layers of the network of ``run`` can be quantized, those to keep left out.

    Raises:
        BitWidthError: a layer to keep that there is not, or one that no bit-width reaches.
        SpecError: a layer that cannot have the scales that options of the method say.
    """
    if not run.is_float:
        _check_scales(run, float_layers(run))


def _check_scales(run: RunSpec, layers: FloatLayers) -> None:
    """Raise unless all ``layers`` can have the granularities that ``run`` names."""
    options = run.method.options
    weights = str(options.get("weight_granularity", ""))
    per_token = options.get("activation_granularity") == "per-token"
    if not (weights.startswith("per-group") or per_token):
        return  # any layer can have any other, and torch is slow to import
    from bitswitch.quant.granularity import NO_TOKENS, PER_TENSOR, parse_granularity

    granularity = parse_granularity(weights) if weights else PER_TENSOR
    for name, shape in layers.quantized.items():
        try:
            granularity.scale_shape(shape)
            if per_token and len(shape) > 2 and name not in layers.first:
                raise SpecError(NO_TOKENS)
        except SpecError as error:
            raise SpecError(f"Layer '{name}' cannot be quantized: {error}") from None


def float_layers(run: RunSpec) -> FloatLayers:
    """Return which layers of the network of ``run``, which is quantized, stay float.

    Raises:
        BitWidthError: as ``check_layers``.
    """
    bare, pinned = unweighted(run), facts.first_last_bits(run) is not None
    about = (run.model.name, bare.model.options, dataset_facts(run), run.keep, pinned)
    key = digest("layers", *about, run.float_inputs)

    def find(device: str) -> FloatLayers:
        from bitswitch.nn.kinds import weighted_layers, weights_of
        from bitswitch.nn.roles import named, roles

        with warnings.catch_warnings(action="ignore"):  # of layers that this returns
            model, net = built(device, bare)
            named(bare.float_inputs or (), weighted_layers(net), "float_inputs")
            found = roles(net, bare.keep, model.first_last(net), made_up_inputs(bare, 2), pinned)
        ends = {*found.ends.first, *found.ends.last}
        names = [name for name, role in found.layers.items() if role == "kept" and name not in ends]
        sizes = {name: weights_of(layer) for name, layer in weighted_layers(net).items()}
        taken = ("inner", "first", "last") if pinned else ("inner",)
        quantized = {
            name: list(net.get_submodule(name).weight.shape)
            for name, role in found.layers.items()
            if role in taken
        }
        first = list(found.ends.first)
        float_weights = sum(sizes[name] for name in names)
        return FloatLayers(names, float_weights, sum(sizes.values()), quantized, first)

    state = code_state("bitswitch")
    return FloatLayers(*remembered("sizes", digest(key, state), lambda: without_memory(find)))


def switchable_layers(run: RunSpec) -> int:
    """Return how many layers of the network of ``run``, which is quantized, a policy may change.

    Raises:
        BitWidthError: as ``check_layers``.
        PluginError: its method cannot quantize them.
    """
    bare = unweighted(run)
    key = digest("switchable", run.model.name, bare.model.options, dataset_facts(run), run.keep)

    def count(device: str) -> int:
        from bitswitch.conversion import quantize
        from bitswitch.plugins.guard import plugin_errors

        with warnings.catch_warnings(action="ignore"):
            model, net = built(device, bare)
            with plugin_errors(f"method '{run.method.name}'", "quantization"):
                method = registry.create("methods", run.method.name, run.method.options, run.bitset)
                ends, example = model.first_last(net), made_up_inputs(bare, 2)
                made = quantize(net, method, keep=bare.keep, ends=ends, example=example)
                return len(made.layers)

    state = digest(key, run.method.model_dump(), run.bitset, code_state("bitswitch"))
    found: int = remembered("sizes", state, lambda: without_memory(count))
    return found


def built(device: str, run: RunSpec) -> tuple[Any, Any]:
    """Return the model plugin of ``run``, and the network that it builds."""
    import torch

    from bitswitch.plugins.guard import plugin_errors

    with torch.device(device), plugin_errors(f"model '{run.model.name}'", "build()"):
        model = registry.create("models", run.model.name, run.model.options)
        return model, model.build(dataset_facts(run)["outputs"], 0).to(device)


def without_memory(ask: Callable[[str], T]) -> T:
    """Return what ``ask`` says of a network that has no numbers, or where it needs some, of one."""
    try:
        return ask("meta")
    except BitswitchError:
        return ask("cpu")


def _size_on(device: str, run: RunSpec) -> dict[str, int]:
    import torch
    from torch import nn
    from torch.utils.flop_counter import FlopCounterMode

    from bitswitch.plugins.guard import plugin_errors

    about, who = dataset_facts(run), f"model '{run.model.name}'"
    _, net = built(device, run)
    inputs = made_up_inputs(run, 1).to(device)
    shape = " x ".join(map(str, about["shape"]))
    hook = f"forward() of a {shape} input of dataset '{run.dataset.name}'"
    with FlopCounterMode(display=False) as counter, torch.no_grad(), plugin_errors(who, hook):
        outputs = net.eval()(inputs)
    if isinstance(outputs, torch.Tensor) and outputs.shape[:: len(outputs.shape) - 1] != (
        1,
        about["outputs"],
    ):
        raise PluginError(
            f"{who} gives an output of shape {list(outputs.shape)} for one example; dataset "
            f"'{run.dataset.name}' has {about['outputs']} outputs"
        )
    parameters = sum(value.numel() for value in net.parameters())
    layers = sum(isinstance(part, nn.Conv2d | nn.Linear) for part in net.modules())
    # The backward pass takes twice the operations of the forward pass.
    flops = 3 * counter.get_total_flops()
    return {"parameters": parameters, "layers": layers, "train_flops": flops}
