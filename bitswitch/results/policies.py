"""Policies as files: ``policies/<name>.json``, with their costs and where they come from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from bitswitch.contracts.metric import Metric, Scale
from bitswitch.costs import Costs
from bitswitch.errors import RecordError
from bitswitch.results.files import read_json, write_json, writing
from bitswitch.types import BitSet, Policy, Strict

_REMEDY = "A policy file has version 1, as `bitswitch search` writes it."


class CostsRecord(Strict):
    """All costs of a policy; see ``bitswitch.costs.Costs``."""

    first_last: str
    bitops: float
    size: float
    average_bits: float
    weighted_average_bits: float
    activation_bits: float
    latency: float | None = None


class HeldOut(Strict):
    """The headline of a task on held-out examples."""

    name: str
    """Of the metric."""
    title: str
    unit: str
    better: Literal["higher", "lower"]
    digits: int
    scale: Annotated[Scale, Field(exclude_if=lambda scale: scale == "linear")] = "linear"
    value: float

    @classmethod
    def of(cls, headline: Metric, values: Mapping[str, float]) -> Self:
        """Return the headline of ``values``, which are by name of the metric."""
        return cls(**headline._asdict(), value=values[headline.name])

    def __str__(self) -> str:
        return Metric.of(self.model_dump()).text(self.value)


class PolicyFile(Strict):
    """A bit-width for every layer of one network, and what it costs."""

    version: Literal[1] = 1
    run: str
    """Identifier of the trained network."""
    model: str
    dataset: str
    bitset: BitSet
    search: str
    """Plugin that found it, or ``hand``."""
    budget: str
    """Name of the budget, ``none`` without one."""
    objective: float | None = None
    held_out: HeldOut | None = None
    """When it was chosen; None: nothing was evaluated."""
    costs: CostsRecord
    layers: dict[str, tuple[int, int]]
    """(weight, activation) bit-widths by name, first to last."""

    @model_validator(mode="before")
    @classmethod
    def _without_unnamed_accuracy(cls, content: Any) -> Any:
        """Leave out what earlier files say of held-out examples: a number without its metric."""
        if not isinstance(content, dict):
            return content
        return {key: value for key, value in content.items() if not key.startswith("held_out_")}

    @model_validator(mode="after")
    def _bits_are_offered(self) -> Self:
        for layer, operands in self.layers.items():
            for bits in operands:
                if bits not in self.bitset:
                    raise ValueError(
                        f"layer '{layer}' has {bits} bits; the bit set is {list(self.bitset)}"
                    )
        return self

    @property
    def policy(self) -> Policy:
        """The policy, as a model switches to it."""
        return dict(self.layers)

    def write(self, path: Path) -> None:
        """Write the file at once; its folder is made."""
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the policy in ``path``.

        Raises:
            RecordError: there is none, or it is not of this version.
        """
        try:
            return cls.model_validate(read_json(path, _REMEDY))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise RecordError(
                f"{path} holds no policy: {where}: {first['msg']}.\n  {_REMEDY}"
            ) from None


def costs_record(costs: Costs, first_last: str) -> CostsRecord:
    """Return ``costs`` as files keep them."""
    return CostsRecord(first_last=first_last, **costs._asdict())
