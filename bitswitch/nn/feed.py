"""Run a network on calibration batches; whatever cannot calibrate it is an error in words."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from bitswitch.errors import CalibrationError
from bitswitch.runtime import transfers

REMEDY = "calibrate() takes batches of images, as the network does: [tensor [n, 3, height, width]]"


def feed(run: Callable[[Tensor], object], images: Iterable[Tensor]) -> None:
    """Call ``run`` with every batch of ``images``.

    Raises:
        CalibrationError: there are none, one is no batch, or the network does not take it.
    """
    if isinstance(images, Tensor):
        raise CalibrationError(f"It was given one tensor {list(images.shape)}.\n  {REMEDY}")
    count = 0
    for count, batch in enumerate(images, 1):
        if not isinstance(batch, Tensor) or not batch.numel():
            found = list(batch.shape) if isinstance(batch, Tensor) else type(batch).__name__
            raise CalibrationError(f"Batch {count} is {found}.\n  {REMEDY}")
        try:
            run(batch)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            shape = list(batch.shape)
            raise CalibrationError(
                f"The network does not take batch {count}, of shape {shape}: {error}\n  {REMEDY}"
            ) from error
    if not count:
        raise CalibrationError(
            f"There was no batch: a list that is empty, or an iterator that is used up.\n  {REMEDY}"
        )


def first_examples(inputs: Iterable[Tensor], count: int) -> list[Tensor]:
    """Return the first ``count`` examples, batch by batch; all, if there are fewer.

    Args:
        inputs: Batches [n, ...]; no more of them are asked for than needed.
        count: At least 1.

    >>> [len(part) for part in first_examples(iter(torch.zeros(3, 4, 1)), 6)]
    [4, 2]
    """
    kept: list[Tensor] = []
    for batch in inputs:
        kept.append(batch[:count])
        count -= len(kept[-1])
        if count <= 0:
            break
    return kept


def check_observed(observed: Mapping[str, Tensor | None]) -> None:
    """Raise unless every layer has seen finite values.

    Args:
        observed: By layer; None: it did not run.

    Raises:
        CalibrationError: the first one that has not.
    """
    idle = [name for name, values in observed.items() if values is None]
    if idle:
        raise CalibrationError(
            f"Layer '{idle[0]}' did not run ({len(idle)} of {len(observed)} did not), so that no "
            f"bit-width would change anything. Is its weight used by another function, such as "
            f"F.linear?\n  Leave it at full precision: quantize(net, method, keep=['{idle[0]}'])"
        )
    seen = {name: values for name, values in observed.items() if values is not None}
    finite = [values.isfinite().all() for values in seen.values()]
    known = transfers.to_host(torch.stack(finite)) if finite else []
    broken = [name for name, fine in zip(seen, known, strict=True) if not fine]
    if not broken:
        return
    raise CalibrationError(
        f"Layer '{broken[0]}' saw values that are not finite.\n  Look for NaN or infinity in the "
        f"images, and in the weights of the layers before it."
    )
