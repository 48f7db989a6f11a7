"""Merge features of three bit-widths, token by token."""

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

SHARES = (0.3, 0.3, 0.4)
"""Of the high, medium and low bit-width in a merged token, as the public code has them."""


def merged(high: Tensor, medium: Tensor, low: Tensor, kept: float) -> Tensor:
    """Return features [n, tokens, width] of three bit-widths as one.

    Of each example, the share ``kept`` of the tokens that are most alike at the high and the low
    bit-width are those of the high one; the others are mixed. Features of another shape have no
    tokens, and are mixed.

    Args:
        high: At the high bit-width.
        medium: The same, at the medium one.
        low: The same, at the low one.
        kept: Between 0 and 1.

    Source: xu2026quept, public code (selective merging of tokens).
    """
    mixed = SHARES[0] * high + SHARES[1] * medium + SHARES[2] * low
    if high.dim() != 3:
        return mixed
    alike = cosine_similarity(high, low, dim=-1)
    best = alike.topk(int(kept * high.shape[1]), dim=1).indices
    chosen = torch.zeros_like(alike, dtype=torch.bool).scatter_(1, best, True)
    return torch.where(chosen.unsqueeze(-1), high, mixed)
