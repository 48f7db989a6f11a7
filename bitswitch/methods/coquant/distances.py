"""How far the predictions of bit-widths are apart, over the steps of a training."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div, log_softmax

from bitswitch.runtime import transfers

MEMORY = 0.9
"""Share of the past in a running distance."""


class Distances(nn.Module):
    """How far the predictions of each bit-width are from those of the wider ones.

    Args:
        count: Number of bit-widths.
    """

    table: Tensor
    """[students, teachers], by position, running means; zero where nothing was noted."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(count, count))
        self._known = [[0.0] * count for _ in range(count)]  # the same, as of the last ``learn``

    def nearest(self, student: int) -> int:
        """Return the position of the nearest wider bit-width, the narrowest of equals."""
        distances = self._known[student]
        return min(range(student), key=lambda teacher: (distances[teacher], -teacher))

    @torch.no_grad()
    def note(self, logits: Tensor, teachers: Sequence[Tensor]) -> Tensor:
        """Count the logits [n, classes] of a student and of all wider bit-widths, widest first.

        Returns:
            Distances to the wider ones, for ``learn``.
        """
        student = log_softmax(logits, dim=1)
        now = [
            kl_div(student, log_softmax(teacher, dim=1), reduction="batchmean", log_target=True)
            for teacher in teachers
        ]
        row = self.table[len(teachers), : len(teachers)]
        return row.lerp_(torch.stack(now).to(row), 1 - MEMORY)

    def learn(self, distances: list[float]) -> None:
        """Take what ``note`` returned for a student into account from now on."""
        self._known[len(distances)][: len(distances)] = distances

    def _load_from_state_dict(self, *args: Any, **options: Any) -> None:
        """Load as every module does, and note the distances."""
        super()._load_from_state_dict(*args, **options)
        self._known = transfers.to_host(self.table)
