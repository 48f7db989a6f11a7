"""Samples of traces, and how far their mean may be off."""

from dataclasses import dataclass
from math import ceil, inf

import torch
from torch import Tensor

FREEDOM = 30
"""Degrees of freedom of the error bars, which are then known to about 13 %."""


@dataclass(frozen=True)
class TraceSamples:
    """Independent samples: probes of units, each unit being an image or a batch of them."""

    values: Tensor
    """float64 [units, probes, layers]: unbiased for the unit's trace."""
    images: Tensor
    """float64 [units]: how many images each stands for."""
    population: float = inf
    """Probes are drawn without replacement from so many, whose mean is the trace itself."""

    @property
    def probes(self) -> int:
        """Of every unit."""
        return self.values.shape[1]

    @property
    def means(self) -> Tensor:
        """The traces [layers]; units count by their images."""
        return self._shares @ self.values.mean(1)

    @property
    def standard_errors(self) -> Tensor:
        """By how much probes may be off the trace over these very images [layers]."""
        left = 1 / self.probes - 1 / self.population
        return (self._spread * left).sqrt()

    @property
    def sampling_errors(self) -> Tensor:
        """By how much these images may be off all images they were drawn from [layers].

        The error of the probes is in it. Infinite for one unit.
        """
        count = len(self.values)
        if count == 1:
            return torch.full_like(self.means, inf)
        deviations = self.values.mean(1) - self.means
        return (self._shares.square() @ deviations.square() * count / (count - 1)).sqrt()

    def relative(self, errors: Tensor) -> float:
        """Return the largest of ``errors`` [layers] as a share of its trace; 0 where exact."""
        shares = torch.where(errors == 0, 0.0, errors / self.means.abs())
        return float(shares.max())

    def probes_for(self, relative_error: float) -> float:
        """Return how many probes make every layer's standard error so small a share of its trace.

        At least as many as the standard errors need to be trusted: ``FREEDOM``.
        """
        allowed = (relative_error * self.means).square()
        needed = 1 / (allowed / self._spread + 1 / self.population)
        exact = self._spread == 0
        trusted = 1 + ceil(FREEDOM / len(self.values))
        return max(trusted, float(torch.where(exact, 0.0, needed).ceil().max()))

    def and_more(self, other: "TraceSamples") -> "TraceSamples":
        """Return these and the further probes of the same units."""
        values = torch.cat([self.values, other.values], dim=1)
        return TraceSamples(values, self.images, self.population)

    @property
    def _shares(self) -> Tensor:
        return self.images / self.images.sum()

    @property
    def _spread(self) -> Tensor:
        """Variance of the mean over units of one probe each [layers]."""
        return self._shares.square() @ self.values.var(1)
