"""Networks and arms: what a suite file says of them."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from bitswitch.costs import EdgeName
from bitswitch.search_spec import Budget
from bitswitch.spec import BitWidth, Choice, TrainingSpec
from bitswitch.types import Strict

BitSets = Annotated[tuple[tuple[BitWidth, ...], ...], Field(min_length=1)]
Seeds = Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)]
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
"""A name that is also part of file names."""


class NetworkSpec(Strict):
    """A model on a dataset, and how it is trained at full precision and jointly."""

    title: str
    published: str
    """Model key of the published rows it stands beside, e.g. ``resnet20``."""
    model: Choice
    dataset: Choice
    bitsets: BitSets
    float_training: TrainingSpec | None = None
    """None: start from the model's own pretrained weights."""
    training: TrainingSpec
    recipe: str | None = None
    """Dataset whose published recipe the preset ``faithful`` takes; None: the dataset's own."""
    seeds: Seeds | None = None
    """Overrides the suite's."""


class StartSpec(Strict):
    """The network trained at several bit-widths that an arm starts from."""

    method: Choice = Choice(name="double-rounding")
    training: dict[str, Any] = Field(default_factory=dict)
    """Changes to the network's training spec."""


class ScoreSpec(Strict):
    """How an arm finds out what its layers suffer."""

    sensitivity: Choice
    of: Literal["float", "start", "trained"] | StartSpec = "float"
    """Which network is scored: the full-precision one, the one that the arm's run starts from, the
    trained one, or one that is trained for it."""
    epochs: tuple[NonNegativeInt, ...] = ()
    """After which epochs the trained network is scored too; they are its training.snapshots."""
    images: PositiveInt = 1024

    @model_validator(mode="after")
    def _epochs_are_of_training(self) -> Self:
        if self.epochs and self.of != "trained":
            raise ValueError("epochs belong to scores of the trained network: set of to 'trained'")
        return self


class SearchArmSpec(Strict):
    """How an arm gives every layer its own bit-width."""

    search: Choice
    budgets: Annotated[tuple[Budget, ...], Field(min_length=1)]
    scores: ScoreSpec | None = None
    """Required by searches that read scores; unused by the others, so that arms can share it."""
    edges: EdgeName = "excluded"
    latency_table: Path | None = None
    tied: bool = True
    evaluations: NonNegativeInt = 0
    images: PositiveInt = 512
    recalibration: NonNegativeInt = 0
    retraining: dict[str, Any] | None = None
    """Changes to the network's training spec, to train the chosen policy on; None: it is not."""
    seeds: Seeds = (0,)
    """Of the search, for each trained network; searches that draw nothing use the first."""


class ArmSpec(Strict):
    """One row of a comparison."""

    title: str
    method: Choice = Choice(name="double-rounding")
    preset: Literal["equal", "faithful"] = "equal"
    """``equal``: the network's recipe, the same for every method; ``faithful``: the method's own
    published recipe over it."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Changes to the network's training spec, after the preset's."""
    separately: bool = False
    """Train one network per bit-width; together they fill one row."""
    start: StartSpec | None = None
    """None: the full-precision network."""
    guide: ScoreSpec | None = None
    """Scores that guide the training."""
    scores: tuple[ScoreSpec, ...] = ()
    """Scores that are reported."""
    search: SearchArmSpec | None = None
    deploy: bool = False
    """Export every trained network as one integer model, and compare it with training."""
    networks: tuple[str, ...] | None = None
    """On which of the experiment's networks; None: all."""
    published: str | None = None
    """Printed row that stands beside it: ``method`` or ``method+kd``; None: none."""
    not_run: str | None = None
    """Why nobody can run it: only its printed row is shown."""
    epochs_factor: PositiveFloat = 1.0
    learning_rate_factor: PositiveFloat = 1.0
    bitsets: BitSets | None = None
    """Overrides the network's."""
