"""Numbers that are still on the device, and who is told once they are read."""

from collections.abc import Callable

import torch
from torch import Tensor

from bitswitch.contracts.method import HostRequest
from bitswitch.runtime import transfers

STEPS = 16
"""A loop reads after so many steps, so that it waits for the device that much less often.

Whatever is written, saved or evaluated is read before, so this decides nothing but when a run that
diverged stops computing."""


class Unread:
    """What steps have found, in the order in which they found it."""

    def __init__(self) -> None:
        self._requests: list[HostRequest] = []

    def add(self, values: Tensor, receive: Callable[[list[float]], None]) -> None:
        """Let ``receive`` be called with ``values`` [n] when all is read; it may raise to stop."""
        self._requests.append(HostRequest(values, receive))

    def read(self) -> None:
        """Bring all numbers to the host in one transfer, and tell everybody.

        What follows on an error is dropped: it is of a training that should have ended there.
        """
        requests, self._requests = self._requests, []
        parts = [one.values for one in requests if len(one.values)]
        device = parts[0].device if parts else None
        sent = transfers.to_host(torch.cat([one.to(device) for one in parts])) if parts else []
        start = 0
        for values, receive in requests:
            end = start + len(values)
            receive(sent[start:end])
            start = end
