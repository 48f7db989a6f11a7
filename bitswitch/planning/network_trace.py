"""A pass of a network at full precision, on the meta device, counted."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from bitswitch.contracts.data import Batch
from bitswitch.planning.traffic import EXAMPLES, Traffic
from bitswitch.plugins.guard import plugin_errors
from bitswitch.spec.run import RunSpec
from bitswitch.training.build import Parts


class _OneKernel(TorchFunctionMode):
    """Lets attention be one kernel that keeps no scores, as it is on GPUs."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call the kernel where it can be."""
        kwargs = kwargs or {}
        if func is scaled_dot_product_attention and not kwargs.get("attn_mask"):
            query, key, value = (*args, *(kwargs[k] for k in ("key", "value") if k in kwargs))[:3]
            if kwargs.get("enable_gqa"):
                shared = query.shape[-3] // key.shape[-3]
                key, value = (one.repeat_interleave(shared, -3) for one in (key, value))
            causal = bool(kwargs.get("is_causal"))
            attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
            return attention(query, key, value, 0.0, causal)[0]
        return func(*args, **kwargs)


def network_traffic(
    run: RunSpec, net: nn.Module, device: str
) -> tuple[Traffic, dict[str, int], int]:
    """Return what a pass takes, the numbers that go into every module, and how many examples.

    Args:
        run: Without pretrained weights.
        net: Its network, on ``device``.
        device: ``meta``, or where that is not possible, ``cpu``.
    """
    parts = Parts.of(run)
    batch = Batch(*(part.to(device) for part in parts.example(EXAMPLES)))
    inputs: dict[str, int] = {}

    def note(name: str) -> Any:
        def count(module: nn.Module, given: tuple[Any, ...]) -> None:
            sizes = (one.numel() for one in given if isinstance(one, Tensor))
            inputs[name] = inputs.get(name, 0) + sum(sizes)

        return count

    for name, module in net.named_modules():
        if isinstance(getattr(module, "weight", None), Tensor):
            module.register_forward_pre_hook(note(name))
    who = f"model '{run.model.name}'"
    with Traffic() as counted, _OneKernel(), plugin_errors(who, "forward() and its gradient"):
        loss = parts.dataset.task.loss(net.train()(batch.inputs), batch.targets)
        loss.backward()  # type: ignore[no-untyped-call]
    return counted, inputs, EXAMPLES
