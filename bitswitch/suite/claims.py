"""Claims: what somebody says of cells of tables, as data that can be checked."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PositiveFloat, model_validator

from bitswitch.spec.run import BitWidth
from bitswitch.text import Key, Remark, Title
from bitswitch.types import Distinct, Strict, format_bitset

Kind = Literal["margin", "direction", "equivalence", "magnitude", "cost", "exactness"]
"""``margin``: left exceeds right by so much; ``direction``: it is better, or worse;
``equivalence``: they differ by less than a margin; ``magnitude``: left is so many times right;
``cost``: it saves so many percent, or takes at most so long; ``exactness``: nothing differs."""

Measure = Literal[
    "headline", "training-time", "scoring-time", "search-time", "scale-gradient", "integers"
]
"""``headline``: of the task, on the test split; ``training-time``: of joint trainings beside one
per bit-width; ``scoring-time``, ``search-time``: minutes; ``scale-gradient``: mean magnitude of the
gradients of weight scales; ``integers``: predictions of stored integers beside those of training.
"""


def _text(value: object) -> object:
    return str(value) if isinstance(value, int) else value


Policy = Annotated[str, BeforeValidator(_text)]
"""A bit-width of all layers, or the column of a budget as tables head it: ``8``, ``3MP``."""


class Selection(Strict):
    """Cells of one table: of a printed one, or of an experiment of the suite."""

    table: Key | None = None
    """A printed table, e.g. ``table1``: its cells are those of experiments that reproduce it."""
    model: Key | None = None
    """A network as it is printed; None: every one in the table."""
    method: Key | None = None
    """A printed row: its method, or its variant where one is printed."""
    kd: bool | None = None
    """Whether the row learns from soft targets; None where the print does not say."""
    experiment: Key | None = None
    """An experiment of the suite, in place of a printed table."""
    networks: Distinct[Key] = ()
    """Of the suite; none: all of the experiment."""
    variants: Distinct[Key] = ()
    """Of the experiment; none: all."""
    bitsets: Distinct[tuple[BitWidth, ...]] = ()
    """None: all."""
    policies: Distinct[Policy] = ()
    """None: all."""

    @model_validator(mode="after")
    def _is_of_one_table(self) -> Self:
        if (self.table is None) == (self.experiment is None):
            raise ValueError("name either a printed table or an experiment")
        foreign = ("networks", "variants") if self.table else ("model", "method", "kd")
        for name in foreign:
            if getattr(self, name) not in (None, ()):
                where = "an experiment" if self.table else "a printed table"
                raise ValueError(f"{name} belongs to {where}")
        if self.table and self.method is None:
            raise ValueError("name the method whose row is meant")
        return self

    @property
    def row(self) -> str:
        """What suites call the printed row: the ``published`` of their variants."""
        return f"{self.method}{KD if self.kd else ''}"

    @property
    def rows(self) -> tuple[str, ...]:
        """The rows that are named: one of a printed table, or variants."""
        return (self.row,) if self.table else self.variants

    @property
    def places(self) -> list[str]:
        """The cells, as paths of their keys.

        >>> Selection(table="table6", model="resnet18", method="lsq", policies=[8, 4]).places
        ['table6/resnet18/lsq/w8a8', 'table6/resnet18/lsq/w4a4']
        """
        sets = [format_bitset(bits) for bits in self.bitsets] or [""]
        taught = "" if self.kd is None else f"kd={int(self.kd)}"
        if self.table:
            heads = [(self.table, self.model or "*", self.method or "*")]
        else:
            networks = self.networks or ("*",)
            rows = self.variants or ("*",)
            heads = [(self.experiment or "", net, row) for net in networks for row in rows]
        return [
            "/".join(filter(None, (*head, bits, taught, _cell(policy))))
            for head in heads
            for bits in sets
            for policy in self.policies or ("*",)
        ]


KD = "+kd"
"""Ends the name of a row that learns from soft targets."""


def _cell(policy: str) -> str:
    """Return how tables head the column of a policy."""
    return f"w{policy}a{policy}" if policy.isdigit() else policy


class ClaimSpec(Strict):
    """What somebody says of one side of cells, or of two."""

    source: Title
    """Where it is said."""
    statement: Remark
    """In one sentence."""
    kind: Kind
    """What is said: see the table in ``docs/howto/check-a-claim.md``."""
    measure: Measure = "headline"
    """Of what."""
    left: Selection
    """The cells that it is about."""
    right: Selection | None = None
    """What left is compared with. Networks are the same on both sides; where both sides name
    variants, bit sets or policies, they are paired in order, one against all; else equal ones."""
    direction: Literal["better", "worse"] | None = None
    """What left is beside right; ``better`` unless said. Of a claim that there is no difference:
    the side on which there is none; None for both."""
    printed: float | None = None
    """What is said of its size: points, how many times, or percent."""
    margin: PositiveFloat | None = None
    """Points up to which differences count as none."""
    reason: Remark | None = None
    """Why that margin."""
    limits: dict[Key, PositiveFloat] = Field(default_factory=dict)
    """Minutes that it takes at most, by network as printed or of the suite."""
    unlike: Remark | None = None
    """Why the sides were not made in the same way; None: like for like."""

    @model_validator(mode="before")
    @classmethod
    def _is_better_unless_said(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and fields.get("kind") != "equivalence":
            return {"direction": "better", **fields}
        return fields

    @model_validator(mode="after")
    def _says_what_its_kind_needs(self) -> Self:
        needed = _NEEDED["limits" if self.limits and self.kind == "cost" else self.kind]
        for key in needed:
            if getattr(self, key) in (None, {}):
                raise ValueError(f"kind '{self.kind}' needs {key}")
        for key in {"right", "margin", "reason", "limits"} - needed:
            if getattr(self, key) not in (None, {}):
                raise ValueError(f"{key} does not belong to kind '{self.kind}'")
        return self

    @model_validator(mode="after")
    def _measures_what_its_kind_can(self) -> Self:
        known = _MEASURES["limits" if self.limits else self.kind]
        if self.measure not in known:
            raise ValueError(f"kind '{self.kind}' needs measure: {' or '.join(known)}")
        return self

    @model_validator(mode="after")
    def _has_one_sign(self) -> Self:
        sign = 1 if self.direction == "better" else -1
        if self.kind == "margin" and (self.printed or 0) * sign <= 0:
            raise ValueError(f"printed {self.printed:g} is not '{self.direction}'")
        return self

    @model_validator(mode="after")
    def _can_be_paired(self) -> Self:
        for axis in AXES if self.right else ():
            own, other = len(getattr(self.left, axis)), len(getattr(self.right, axis))
            if own != other and min(own, other) > 1:
                raise ValueError(
                    f"left names {own} {axis.replace('rows', 'variants')}, right {other}: "
                    f"as many are needed, or one"
                )
        return self

    @property
    def places(self) -> list[str]:
        """The cells of both sides, left ones first."""
        return [*self.left.places, *(self.right.places if self.right else ())]


AXES = ("rows", "bitsets", "policies")
"""What the cells of two sides are paired by, besides their network."""

_NEEDED: dict[str, set[str]] = {
    "margin": {"right", "printed"},
    "direction": {"right"},
    "equivalence": {"right", "margin", "reason"},
    "magnitude": {"right", "printed"},
    "cost": {"right", "printed"},
    "limits": {"limits"},
    "exactness": set(),
}
_MEASURES: dict[str, tuple[Measure, ...]] = {
    **dict.fromkeys(("margin", "direction", "equivalence"), ("headline",)),
    "magnitude": ("scale-gradient",),
    "cost": ("training-time",),
    "limits": ("scoring-time", "search-time"),
    "exactness": ("integers",),
}
