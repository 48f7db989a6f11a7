"""How much memory training a run takes, counted on a network without numbers; needs no data.

It is a lower bound: what quantizers and kernels keep for a moment comes on top.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from bitswitch.planning.networks import (
    built,
    dataset_facts,
    made_up_inputs,
    unweighted,
    without_memory,
)
from bitswitch.runtime.cache import code_state, digest, remembered
from bitswitch.spec.run import RunSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

MOMENTS = {"sgd": 1, "adam": 2, "adamw": 2}
"""Numbers that an optimizer keeps for every parameter."""
COUNTED_EXAMPLES = 2
"""Of a part of a batch; what the others keep is as large."""
LOGIT_COPIES = 2
"""Of the logits of a part: themselves, and their gradient."""


class Footprint(NamedTuple):
    """Bytes in float32."""

    network: int
    """Parameters and buffers."""
    parameters: int
    example: float
    """What the gradient of one example's pass reads besides the network, logits included."""


def training_bytes(run: RunSpec) -> int:
    """Return the memory of weights, gradients, moments, and what one part of a batch keeps.

    A pass of the network at full precision is counted, in float32: one bit-width is in memory at a
    time.
    """
    training, bare = run.training, unweighted(run)
    again = training.checkpoint_activations
    key = digest("memory", run.model.name, bare.model.options, dataset_facts(run), again)

    def count() -> tuple[float, ...]:
        return without_memory(lambda device: _footprint(bare, device))

    state = digest(key, code_state("bitswitch"))
    found = Footprint(*remembered("sizes", state, count))
    part = training.batch_size // training.accumulate
    moving = found.parameters * (1 + MOMENTS[training.optimizer])
    return int(found.network + moving + found.example * part)


def _footprint(run: RunSpec, device: str) -> Footprint:
    from bitswitch.nn.recompute import checkpoint_blocks

    model, net = built(device, run)
    inputs = made_up_inputs(run, COUNTED_EXAMPLES).to(device)
    network = _bytes([*net.parameters(), *net.buffers()])
    kept: float = _kept_bytes(net, inputs)
    blocks = model.recomputable(net) if run.training.checkpoint_activations else ()
    if blocks:
        checkpoint_blocks(net, blocks)
        between = _kept_bytes(net, inputs)
        kept = between + (kept - between) / len(blocks)  # one block at a time is computed again
    return Footprint(network, _bytes(net.parameters()), kept / COUNTED_EXAMPLES)


def _kept_bytes(net: "nn.Module", inputs: "Tensor") -> int:
    """Return the bytes that the gradient of a pass reads besides the network, logits included."""
    from torch import Tensor
    from torch.autograd.graph import saved_tensors_hooks

    own = {_storage(tensor)._cdata for tensor in (*net.parameters(), *net.buffers())}
    found: dict[int, Any] = {}  # they are held, so that no other takes the address of one

    def keep(tensor: Tensor) -> Tensor:
        found[_storage(tensor)._cdata] = _storage(tensor)
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = net.train()(inputs)
    logits = _bytes([outputs]) * LOGIT_COPIES if isinstance(outputs, Tensor) else 0
    kept: int = sum(one.nbytes() for key, one in found.items() if key not in own)
    return logits + kept


def _storage(tensor: "Tensor") -> Any:
    return tensor.untyped_storage()


def _bytes(tensors: Iterable["Tensor"]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
