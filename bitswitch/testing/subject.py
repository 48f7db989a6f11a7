"""A method on networks small enough to look at it in a second: of images, and of tokens."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor, nn

from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import Method, StepInfo
from bitswitch.contracts.sensitivity import Score, Scores
from bitswitch.contracts.task import Task
from bitswitch.conversion import quantize
from bitswitch.errors import Diverged
from bitswitch.models.llama import LlamaNet, Size
from bitswitch.nn.dataflow import FirstLast
from bitswitch.nn.model import QuantizedModel
from bitswitch.plugins import facts, registry
from bitswitch.plugins.resolve import resolved
from bitswitch.runtime.randomness import generator, seeded
from bitswitch.spec.run import RunSpec
from bitswitch.spec.training import TrainingSpec
from bitswitch.tasks.classification import Classification
from bitswitch.tasks.language_model import LanguageModel, Protocol
from bitswitch.testing.failure import CheckFailed
from bitswitch.training.distillation import Distillation
from bitswitch.training.state import TrainState
from bitswitch.training.step import PassResult, train_step
from bitswitch.types import FLOAT_BITS, MAX_BITS, MIN_BITS, BitSet

CLASSES, IMAGES = 4, 16
VOCABULARY, WINDOW = 7, 6
BITSETS: tuple[BitSet, ...] = ((8, 4, 2), (4, 3, 2), (8,), (4,), (2,), (FLOAT_BITS,))
"""A method is checked at the first that it accepts."""
EVERY_WIDTH: BitSet = tuple(range(MAX_BITS, MIN_BITS - 1, -1))
TRAINING: dict[str, Any] = {
    "epochs": 4,
    "batch_size": IMAGES,
    "learning_rate": 5e-3,
    "weight_decay": 5e-5,
}
DEPLOYED_AFTER = 2
"""Training steps."""
CPU = torch.device("cpu")
TASK = Classification()
"""Of the batches."""


@dataclass(frozen=True, eq=False)
class Material:
    """What a method is tried on."""

    model: str
    dataset: str
    """What specs name: a model and a dataset of the kind."""
    task: Task
    outputs: int
    ends: FirstLast | None
    """First and last layers of the network; None: they are traced."""
    float_inputs: tuple[str, ...]
    make: Callable[[], nn.Module]
    """Of the float network."""
    draw: Callable[[torch.Generator], tuple[Tensor, Tensor]]
    """Of inputs and targets, so many as ``IMAGES``."""

    @staticmethod
    def of(task: Task) -> "Material":
        """Return what has this task."""
        return next((one for one in MATERIALS.values() if one.task is task), PICTURES)

    def network(self) -> nn.Module:
        """Return the float network, always the same."""
        with seeded("check network"):
            return self.make()

    def batch(self, number: int = 0) -> Batch:
        """Return a batch of noise."""
        inputs, targets = self.draw(generator("check", number))
        return Batch(inputs, targets, torch.arange(IMAGES))

    def batches(self) -> Iterator[Batch]:
        """Return a small epoch, every time the same."""
        return map(self.batch, range(4))


def _pictures(draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return images of noise [16, 3, 8, 8] in four classes."""
    return torch.randn(IMAGES, 3, 8, 8, generator=draw), torch.arange(IMAGES) % CLASSES


def _tokens(draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return windows of random tokens [16, 6], and the tokens that follow."""
    tokens = torch.randint(VOCABULARY, (IMAGES, WINDOW + 1), generator=draw)
    return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


def _decoder() -> nn.Module:
    """Return a decoder of two blocks, whose inputs are signed and have three axes."""
    return LlamaNet(Size(VOCABULARY, 16, 24, 2, 4, 2, WINDOW, 1e-5, 1e4, False, False))


def _convolutions() -> nn.Module:
    """Return a float network with an ordinary, a depthwise and a linear layer to quantize.

    Inputs of these layers reach down to zero, as behind any ReLU.
    """
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8, bias=False),
        nn.BatchNorm2d(8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.ReLU(),
        nn.Linear(8, 8),
        nn.Linear(8, CLASSES),
    )


PICTURES = Material("resnet8", "digits", TASK, CLASSES, None, (), _convolutions, _pictures)
TEXTS = Material(
    "llama-tiny",
    "shakespeare",
    LanguageModel(Protocol("none", "shifted", WINDOW, WINDOW, "token", "random tokens")),
    VOCABULARY,
    FirstLast((), ("lm_head",)),
    ("model.layers.*.mlp.down_proj",),
    _decoder,
    _tokens,
)
MATERIALS = {"images": PICTURES, "tokens": TEXTS}
"""By what networks read."""


def network() -> nn.Module:
    """Return the float network for images."""
    return PICTURES.network()


def batch(number: int = 0) -> Batch:
    """Return a batch of 16 images of noise [16, 3, 8, 8] in four classes."""
    return PICTURES.batch(number)


def batches() -> Iterator[Batch]:
    """Return a small epoch of images, every time the same."""
    return PICTURES.batches()


def step_info(step: int = 0, steps: int = 40) -> StepInfo:
    """Return when a ``step`` of a run of ``steps`` takes place; equal steps draw equal numbers."""
    epochs = TRAINING["epochs"]
    return StepInfo(step * epochs // steps, epochs, step, steps, generator("check passes", step))


@dataclass(frozen=True, eq=False)
class Subject:
    """One method with its options, at a bit set that it accepts.

    Methods return new objects every time. What takes long to make and is only looked at is kept.
    """

    name: str
    spec: RunSpec
    material: Material = PICTURES

    @classmethod
    def of(
        cls,
        name: str,
        options: Mapping[str, Any] | None = None,
        *bitsets: BitSet,
        material: Material = PICTURES,
    ) -> Self:
        """Return the installed method ``name`` at the first of ``bitsets`` that it accepts.

        Raises:
            UnknownPluginError: it is not installed.
            CheckFailed: it accepts none.
        """
        registry.load("methods", name)
        reasons = {}
        for bitset in bitsets or BITSETS:
            if (bitset == (FLOAT_BITS,)) != (name == "float32"):
                continue
            spec = run_spec(name, options or {}, bitset, material)
            reasons[bitset] = facts.refusal(spec)
            if reasons[bitset] is None:
                return cls(name, spec, material)
        listed = "; ".join(f"{list(bitset)}: {reason}" for bitset, reason in reasons.items())
        raise CheckFailed(
            f"'{name}' refuses every bit set it was offered. {listed}",
            "Let skip() return None for what the method can run.",
        )

    @property
    def bitset(self) -> BitSet:
        """Bit-widths, widest first."""
        return self.spec.bitset

    @property
    def training(self) -> TrainingSpec:
        """How it is trained."""
        return self.spec.training

    def method(self) -> Method:
        """Return an instance, which knows how sensitive layers are if it wants to."""
        method: Method = registry.create(
            "methods", self.name, dict(self.spec.method.options), self.bitset
        )
        method.task = self.material.task
        if self.spec.sensitivity is not None:
            method.set_sensitivity(sensitivity(self.material))
        return method

    def train_state(self) -> TrainState:
        """Return what trains the calibrated network."""
        method = self.method()
        model = quantized(method)
        if self.bitset != (FLOAT_BITS,):
            model.calibrate([self.material.batch().inputs])
        memory = Distillation(self.training, IMAGES, self.material.outputs)
        return TrainState.of(method, model.train(), self.training, memory)

    @cached_property
    def deployed(self) -> QuantizedModel:
        """The network after a little training and what the method does at the end; for reading."""
        train_state = self.train_state()
        if train_state.method.trains:
            train(train_state, DEPLOYED_AFTER)
        train_state.method.finish(train_state.model, self.material.batches)
        return train_state.model.eval()

    @cached_property
    def wide(self) -> Self:
        """The same method at all bit-widths from 8 to 2; at fewer if it refuses that."""
        options = self.spec.method.options
        return self.of(self.name, options, EVERY_WIDTH, self.bitset, material=self.material)

    def logits(self, model: QuantizedModel, bits: int) -> Tensor:
        """Return what ``model`` says of a batch at ``bits``."""
        return logits(model, bits, self.material)


def run_spec(
    name: str,
    options: Mapping[str, Any],
    bitset: BitSet,
    material: Material = PICTURES,
    **training: Any,
) -> RunSpec:
    """Return a run of method ``name``, with ``training`` over the recipe of the checks.

    Methods that can be guided are, by some sensitivity.
    """
    fields: dict[str, Any] = {
        "method": {"name": name, "options": dict(options)},
        "model": material.model,
        "dataset": material.dataset,
        "bitset": bitset,
        "seed": 0,
        "training": TRAINING | training,
    }
    if facts.is_guided(name):
        set_sensitivity = {
            "sensitivity": "quantization-error",
            "run": dict(fields),
            "bitset": bitset,
        }
        fields["sensitivity"] = set_sensitivity
    return resolved(RunSpec.model_validate(fields))


def sensitivity(material: Material = PICTURES) -> Scores:
    """Return how sensitive the layers of the network are, as a whole and at every bit-width.

    Later layers are more sensitive, and all are at fewer bits.
    """
    net = material.network()
    layers = [name for name, part in net.named_modules() if hasattr(part, "weight")]
    return Scores(
        tuple(
            Score(layer, "layer", bits, (1 + position) * 4.0 ** -(bits or 0))
            for position, layer in enumerate(layers)
            for bits in (None, *EVERY_WIDTH)
        )
    )


@contextmanager
def double_precision() -> Iterator[None]:
    """Make networks and batches in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def quantized(method: Method) -> QuantizedModel:
    """Return the network of its task as ``method`` makes it; activation scales are to be set."""
    material = Material.of(method.task)
    example = None if material is PICTURES else material.batch().inputs
    model = quantize(
        material.network(),
        method,
        ends=material.ends,
        example=example,
        float_inputs=material.float_inputs,
    )
    method.on_quantized(model, material.outputs)
    return model


def train(train_state: TrainState, steps: int) -> None:
    """Take training steps on one batch.

    Raises:
        CheckFailed: training diverges.
    """
    for step in range(steps):
        take_step(train_state, step)


def take_step(train_state: TrainState, step: int) -> list[PassResult]:
    """Take one training step; what is random in it depends on its number alone.

    Raises:
        CheckFailed: training diverges.
    """
    try:
        with seeded("check step", step):
            part = Material.of(train_state.method.task).batch()
            return train_step(
                train_state, part, train_state.training.learning_rate, step_info(step)
            )
    except Diverged as finding:
        raise CheckFailed(
            f"Training diverges in step {step}: {finding}.",
            "Look at the gradient and the initial value of what diverges.",
        ) from finding


def logits(model: QuantizedModel, bits: int, material: Material = PICTURES) -> Tensor:
    """Return what ``model`` says of a batch at ``bits``, [16, 4] of images."""
    with model.at(bits), torch.no_grad():
        output: Tensor = model(material.batch().inputs)
        return output
