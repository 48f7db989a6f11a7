"""Build networks on the meta device without the compiler."""

from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode


class Unfilled(TorchFunctionMode):
    """Draw no initial weights on the meta device.

    They have no values there, but torch imports its compiler to say so, which takes longer than
    building the network.
    """

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is Tensor.normal_ and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))
