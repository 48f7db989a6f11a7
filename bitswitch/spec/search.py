"""Search specs: everything that decides which policies are found for one trained network."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from bitswitch.costs import CostName, FirstLastCosts
from bitswitch.runtime.cache import digest
from bitswitch.spec.run import Choice, RunSpec, SensitivitySpec
from bitswitch.spec.training import TrainingSpec
from bitswitch.types import Distinct, Strict


class Budget(Strict):
    """An upper bound on one cost of a policy; exactly one of the last three is given."""

    cost: CostName
    """What is bounded."""
    at_most: PositiveFloat | None = None
    """In the cost's own unit: BitOps, bits, mean bits, milliseconds."""
    of_uniform: PositiveFloat | None = None
    """As much as the network at this bit-width."""
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    """Of what the network costs at the widest bit-width."""

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if sum(limit is not None for limit in (self.at_most, self.of_uniform, self.share)) != 1:
            raise ValueError(
                f"a budget on {self.cost} needs exactly one of at_most, of_uniform, share"
            )
        return self

    @property
    def name(self) -> str:
        """How files and tables call it, e.g. ``average-bits-3``."""
        # Twelve digits: budgets that differ in the seventh are different files.
        if self.at_most is not None:
            return f"{self.cost}-{self.at_most:.12g}"
        if self.of_uniform is not None:
            return f"{self.cost}-of-w{self.of_uniform:.12g}a{self.of_uniform:.12g}"
        return f"{self.cost}-share-{self.share:.12g}"


class SearchSpec(Strict):
    """Everything that decides which policies are found for one trained network."""

    search: Choice
    run: RunSpec
    """Whose layers get a bit-width each."""
    budgets: Annotated[Distinct[Budget], Field(min_length=1)]
    """One policy is found for each."""
    first_last: FirstLastCosts = "excluded"
    """Whether costs count the first and the last layer."""
    latency_table: Path | None = None
    """CSV: layer, weight_bits, activation_bits, latency_ms."""
    sensitivity: SensitivitySpec | None = None
    tied: bool = True
    """Weights and inputs of a layer share their bit-width."""
    evaluations: NonNegativeInt = 0
    """How often a policy may be evaluated on held-out examples, for each budget."""
    examples: PositiveInt = Field(512, serialization_alias="images")  # as identities know it
    """Held-out examples of one evaluation, at most."""
    recalibration: NonNegativeInt = 0
    """Training batches that batch norms see at a policy before it is evaluated; 0: none."""
    retraining: TrainingSpec | None = None
    """How the chosen policy is trained on, alone; None: it is not."""
    seed: NonNegativeInt = 0

    @model_validator(mode="after")
    def _latencies_are_known(self) -> Self:
        if self.latency_table is None and any(one.cost == "latency" for one in self.budgets):
            raise ValueError("a budget on latency needs a table: name one, search.latency_table")
        return self

    @model_validator(mode="after")
    def _factors_cover_bitset(self) -> Self:
        if self.retraining is not None:
            self.retraining.check_factors(self.run.bitset, "retraining")
        return self

    @cached_property
    def identifier(self) -> str:
        """Readable prefix, then eight hex digits of the content."""
        content = digest(self.model_dump(mode="json", by_alias=True))[:8]
        return f"{self.search.name}-{self.run.model.name}-s{self.seed}-{content}"

    @property
    def runs(self) -> tuple[RunSpec, ...]:
        """The runs that must be there before it, first to last."""
        scored = self.sensitivity.runs if self.sensitivity else ()
        return (*self.run.ancestors, self.run, *scored)
