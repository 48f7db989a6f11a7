"""Networks and variants: what a suite file says of them."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveInt, model_validator

from bitswitch.costs import FirstLastCosts
from bitswitch.spec.run import BitWidth, Choice, FloatInputs, Keep
from bitswitch.spec.search import Budget
from bitswitch.spec.training import TrainingSpec
from bitswitch.text import Remark, Title
from bitswitch.types import Distinct, Strict


def _listed(value: Any) -> Any:
    """Say how seeds are written where one stands alone."""
    if isinstance(value, int):
        raise ValueError(f"write a list: [{value}]")
    return value


def _bit_sets(value: Any) -> Any:
    """Say how bit sets are written where there is only one."""
    if isinstance(value, list | tuple) and value and all(isinstance(one, int) for one in value):
        raise ValueError(f"a list of bit sets is needed: write [{list(value)}]")
    return value


BitSets = Annotated[Distinct[tuple[BitWidth, ...]], Field(min_length=1), BeforeValidator(_bit_sets)]
Factor = Annotated[float, Field(gt=0, le=1e6)]
Seeds = Annotated[Distinct[NonNegativeInt], Field(min_length=1), BeforeValidator(_listed)]


class NetworkSpec(Strict):
    """A model on a dataset, and how it is trained at full precision and jointly."""

    title: Title
    """As tables print it."""
    published: str
    """Model key of the published rows it stands beside, e.g. ``resnet20``."""
    model: Choice
    """What is trained: a plugin of the group ``models``."""
    dataset: Choice
    """What it is trained and tested on: a plugin of the group ``datasets``."""
    bitsets: BitSets
    """Bit-widths that one network is to run at, widest first; a table has columns for each set."""
    float_training: TrainingSpec | None = None
    """None: start from the model's own pretrained weights."""
    training: TrainingSpec
    """The recipe of all quantized networks, before what a variant changes."""
    recipe: str | None = None
    """Dataset whose recipe the preset ``published-recipe`` takes; None: the dataset's own."""
    seeds: Seeds | None = None
    """Overrides the suite's."""
    keep: Keep = ()
    """Layers that stay at full precision besides the first and the last, by name or pattern."""
    float_inputs: FloatInputs = None
    """Layers whose inputs alone do; None: those that the model names."""
    optional: bool = False
    """Whether the workflow leaves its rows out, and says so, as long as weights or texts that it
    names are not there. Plans count them all the same."""
    stands_for: Remark | None = None
    """The larger network that it stands in for; tables say that it says nothing of that."""


class StartSpec(Strict):
    """The network trained at several bit-widths that a variant starts from."""

    method: Choice = Choice(name="double-rounding")
    """By which it is trained."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Changes to the network's training spec."""


class ScoreSpec(Strict):
    """How a variant finds out what its layers suffer."""

    sensitivity: Choice
    """How layers are scored: a plugin of the group ``sensitivities``."""
    of: Literal["float", "start", "trained"] | StartSpec = "float"
    """Which network is scored: the full-precision one, the one that the variant's run starts from,
    the trained one, or one that is trained for it."""
    epochs: Distinct[NonNegativeInt] = ()
    """After which epochs the trained network is scored too; they are its training.snapshots."""
    examples: PositiveInt = 1024
    """Training examples that are seen."""

    @model_validator(mode="after")
    def _epochs_are_of_training(self) -> Self:
        if self.epochs and self.of != "trained":
            raise ValueError("epochs belong to scores of the trained network: set of to 'trained'")
        return self


class SearchVariantSpec(Strict):
    """How a variant gives every layer its own bit-width."""

    search: Choice
    """How policies are found: a plugin of the group ``searches``."""
    budgets: Annotated[Distinct[Budget], Field(min_length=1)]
    """One policy is looked for within each."""
    scores: ScoreSpec | None = None
    """Required by searches that read scores; unused by others, so that variants can share it."""
    first_last: FirstLastCosts = "excluded"
    """Whether costs count the first and the last layer."""
    latency_table: Path | None = None
    """CSV: layer, weight_bits, activation_bits, latency_ms; for budgets on latency."""
    tied: bool = True
    """Weights and inputs of a layer share their bit-width."""
    evaluations: NonNegativeInt = 0
    """How often a policy may be evaluated on held-out examples, for each budget."""
    examples: PositiveInt = 512
    """Held-out examples of one evaluation, at most."""
    recalibration: NonNegativeInt = 0
    """Training batches that batch norms see at a policy before it is evaluated; 0: none."""
    retraining: dict[str, Any] | None = None
    """Changes to the network's training spec, to train the chosen policy on; None: it is not."""
    seeds: Seeds = (0,)
    """Of the search, for each trained network; searches that draw nothing use the first."""


class VariantSpec(Strict):
    """One row of a comparison."""

    title: Title
    """As tables print it."""
    method: Choice = Choice(name="double-rounding")
    """What quantizes and trains: a plugin of the group ``methods``."""
    preset: Literal["equal", "published-recipe"] = "equal"
    """``equal``: the network's recipe, the same for every method; ``published-recipe``: the
    method's own published recipe over it."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Changes to the network's training spec, after the preset's."""
    one_network_per_bitwidth: bool = False
    """Train one network per bit-width; together they fill one row."""
    start: StartSpec | None = None
    """None: the full-precision network."""
    guide: ScoreSpec | None = None
    """Scores that guide the training."""
    scores: tuple[ScoreSpec, ...] = ()
    """Scores that are reported."""
    search: SearchVariantSpec | None = None
    """What finds policies of the trained network; its table shows these."""
    deploy: bool = False
    """Export every trained network as one integer model, and compare it with training."""
    networks: Distinct[str] | None = None
    """On which of the experiment's networks; None: all."""
    published: str | None = None
    """Printed row that stands beside it: ``method`` or ``method+kd``; None: none."""
    said_to_fail: Remark | None = None
    """Who says that it does not converge; a note below the table says what was seen."""
    not_run: Remark | None = None
    """Why nobody can run it: only its printed row is shown."""
    epochs_factor: Factor = 1.0
    """Multiplies the epochs of the recipe."""
    learning_rate_factor: Factor = 1.0
    """Multiplies its learning rate."""
    bitsets: BitSets | None = None
    """Overrides the network's."""
    float_inputs: FloatInputs = None
    """Overrides the network's; ``all``: only weights are quantized."""
