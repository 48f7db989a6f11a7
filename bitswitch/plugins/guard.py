"""Say whose fault an error is: name the plugin and the hook that raised it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bitswitch.errors import BitswitchError, DeviceError, Diverged, PluginError

if TYPE_CHECKING:  # contracts import torch
    from bitswitch.contracts.data import Batch


@contextmanager
def plugin_errors(who: str, hook: str) -> Iterator[None]:
    """Turn whatever the code inside raises into an error that says who raised it.

    Args:
        who: The plugin, e.g. ``dataset 'digits'``.
        hook: What was called, e.g. ``open()``.

    Raises:
        DeviceError: there is not enough GPU memory.
        PluginError: anything else that is not already an error of bitswitch.
    """
    try:
        yield
    except (BitswitchError, Diverged):
        raise
    except Exception as error:
        import torch

        if isinstance(error, torch.OutOfMemoryError):
            raise DeviceError(
                f"Out of GPU memory in {hook} of {who}: {str(error).partition('.')[0]}.\n"
                f"  Let fewer runs share the GPU, or use a smaller training.batch_size."
            ) from error
        raise PluginError(f"{hook} of {who} fails: {type(error).__name__}: {error}") from error


def guarded_batches(batches: "Iterator[Batch]", who: str, hook: str) -> "Iterator[Batch]":
    """Yield from ``batches``; see ``plugin_errors``."""
    while True:
        with plugin_errors(who, hook):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch
