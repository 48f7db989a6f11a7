"""Values that leave the device on which they were computed.

Whoever asks an accelerator for a number waits until all that was queued before is done. So it is
asked seldom, for all numbers that are needed at once, and here alone.
"""

from typing import Any

from torch import Tensor


def to_host(values: Tensor) -> Any:
    """Return what ``values`` holds as numbers of Python, in lists nested as its dimensions.

    >>> import torch
    >>> to_host(torch.tensor([[1, 2], [3, 4]])), to_host(torch.tensor(0.5))
    ([[1, 2], [3, 4]], 0.5)
    """
    return values.tolist()


def to_cpu(values: Tensor) -> Tensor:
    """Return ``values`` as a tensor on the processor, for what is too large for lists."""
    return values.cpu()
