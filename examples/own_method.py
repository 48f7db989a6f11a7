"""A method of your own: its quantizers, norms, passes and loss, driven through some steps by hand.

In a package with an entry point the class is all there is to write, and a suite trains it
(docs/howto/add-a-method.md). Here the loop of a training step is spelled out: who calls what.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

import bitswitch as bs

BITSET: bs.BitSet = (8, 4, 2)


class Blended(bs.Method):
    """LSQ; after a pass at every bit-width comes one whose layers are drawn.

    The drawn pass learns from the mean of all earlier logits. The layer that suffers most from few
    bits keeps the widest ones.
    """

    source = "unpublished"
    card = bs.Card(
        title="Blended",
        fidelity="equations",
        storage="floats",
        licence="no public code",
        left_open="Nothing is published; all is stated here.",
    )
    published_recipes: ClassVar = {"cifar10": bs.Recipe({"epochs": 90}, {"share": 0.5})}
    reads_all_logits = True

    class Options(bs.Strict):
        """What a suite may set."""

        share: float = 0.5
        """Of the earlier passes in the loss of the drawn one."""
        norms: Literal["per-bit", "shared"] = "per-bit"
        """Whether every bit-width has batch norms of its own."""
        weight_granularity: bs.WeightGranularity = bs.PER_TENSOR
        """Which weights share a scale."""
        activation_granularity: bs.ActivationGranularity = bs.PER_TENSOR
        """Which inputs share a scale; learned ones leave no other choice than the default."""

    options: Options

    def __init__(self, options: bs.Strict, bitset: bs.BitSet) -> None:
        super().__init__(options, bitset)
        self.most_sensitive: str | None = None
        self.entropies: list[float] = []

    def weight_quantizer(self, weight: Tensor) -> bs.Quantizer:
        """Return learned scales for one weight."""
        return bs.WeightQuantizer(weight, self.bitset, self.options.weight_granularity)

    def normalization(self, norm: _BatchNorm) -> nn.Module:
        """Return what replaces a batch norm; both are switched with the layer before them."""
        if self.options.norms == "shared":
            return bs.SharedBatchNorm(norm, self.bitset)
        return bs.SwitchableBatchNorm(norm, self.bitset)

    def set_sensitivity(self, scores: bs.Scores) -> None:
        """Remember the layer whose score is largest."""
        self.most_sensitive = max(scores.rows, key=lambda row: row.value).layer

    def passes(
        self, training: bs.TrainingSpec, step_info: bs.StepInfo, layers: Sequence[str]
    ) -> list[bs.Pass]:
        """Return a pass for every bit-width, then one whose layers are drawn."""
        drawn = dict(bs.random_policy(layers, self.bitset, step_info.generator))
        if self.most_sensitive is not None:
            drawn[self.most_sensitive] = self.bitset[0]
        return [*super().passes(training, step_info, layers), bs.Pass(None, drawn)]

    def loss(self, context: bs.PassContext) -> Tensor:
        """Return the loss to the labels; that of the drawn pass has the earlier ones in it."""
        if context.current.policy is None:
            return super().loss(context)
        teacher = torch.stack(list(context.previous_logits)).mean(0)
        soft = bs.soft_cross_entropy(context.logits, teacher)
        context.request(soft.detach()[None], self.entropies.extend)  # leaves the device at the end
        share = self.options.share
        return share * soft + (1 - share) * self.task.loss(context.logits, context.targets)

    def finish(self, model: bs.QuantizedModel, batches: Callable[[], Iterator[bs.Batch]]) -> None:
        """Measure the statistics of shared batch norms at every bit-width."""
        shared = [one for one in model.modules() if isinstance(one, bs.SharedBatchNorm)]
        for bits in self.bitset:
            with model.at(bits), torch.no_grad():
                for norm in shared:
                    norm.begin_recalibration()
                for batch in batches() if shared else ():
                    model(batch.inputs)
                for norm in shared:
                    norm.end_recalibration()

    def finish_work(self, extent: bs.Workload) -> bs.ExamplePasses:
        """Return what that takes, for `bitswitch plan`: an epoch, forward alone."""
        if self.options.norms == "per-bit":
            return bs.ExamplePasses()
        return bs.ExamplePasses(forward=extent.epoch_examples)

    def skip(self, spec: bs.RunSpec) -> str | None:
        """Return why a run makes no sense; it stands below the table."""
        return "It blends at least two bit-widths." if len(spec.bitset) < 2 else None


def net() -> nn.Module:
    """Return a network of four convolutions; the first and the last layer stay float."""
    torch.default_generator.manual_seed(0)
    middle = [part for _ in range(3) for part in (nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU())]
    return nn.Sequential(nn.Conv2d(3, 8, 3), *middle, nn.Flatten(), nn.LazyLinear(4))


def train_step(
    method: Blended, model: bs.QuantizedModel, batch: bs.Batch, step_info: bs.StepInfo
) -> list[float]:
    """Return the losses of the passes of one step; gradients add up."""
    recipe = bs.TrainingSpec(epochs=1, batch_size=16, learning_rate=0.01)
    passes = method.passes(recipe, step_info, list(model.layers))
    earlier: list[Tensor] = []
    losses = []
    for current in passes:
        with model.at(current.policy or current.bits or bs.FLOAT_BITS):
            logits = model(batch.inputs)
            seen = bs.EarlierLogits(earlier)
            context = bs.PassContext(current, logits, batch.targets, batch, seen, model, step_info)
            loss = method.loss(context)
            loss.backward()  # type: ignore[no-untyped-call]
        earlier.append(logits.detach())
        losses.append(loss.item())
        requests: list[bs.HostRequest] = context.requests
        for request in requests:
            request.receive(request.values.tolist())
    return losses


def main() -> None:
    """Train three steps, with batch norms of both kinds."""
    drawn = torch.Generator().manual_seed(0)
    batch = bs.Batch(
        torch.randn(16, 3, 10, 10, generator=drawn),
        torch.randint(4, (16,), generator=drawn),
        torch.arange(16),
    )
    for norms in ("per-bit", "shared"):
        method = Blended(Blended.Options(norms=norms, weight_granularity=bs.PerChannel()), BITSET)
        float_net = net()
        float_net(batch.inputs)
        model = bs.quantize(float_net, method, example=(3, 10, 10))
        layers: dict[str, bs.QuantizedLayer] = model.layers
        switched = [part for part in model.modules() if isinstance(part, bs.Switchable)]
        print(f"{method.card.title}, batch norms {norms}: layers {', '.join(layers)}")
        print(f"  modules that switch: {len(switched)}")
        model.calibrate([batch.inputs])
        method.set_sensitivity(bs.Scores(tuple(bs.Score(n, "layer", None, 1.0) for n in layers)))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        model.train()
        for step in range(3):
            optimizer.zero_grad()
            losses = train_step(method, model, batch, bs.StepInfo(0, 1, step, 3, drawn))
            optimizer.step()
            print(f"  step {step}: " + ", ".join(f"{loss:.2f}" for loss in losses))
        method.finish(model, lambda: iter([batch]))
        work = method.finish_work(bs.Workload(layers=5, epoch_examples=16, batch_size=16))
        print(f"  {len(method.entropies)} numbers received; to finish, {work.forward:g} examples")
    fields = {"method": "lsq", "model": "resnet8", "dataset": "digits", "bitset": (8,), "seed": 0}
    recipe = bs.TrainingSpec(epochs=1, batch_size=16, learning_rate=0.01)
    alone = bs.RunSpec.model_validate({**fields, "training": recipe})
    print(f"at 8 bits alone: {method.skip(alone)}")
    try:
        _ = bs.EarlierLogits([None])[0]  # of a pass that no later one names as its teacher
    except bs.PluginError as error:
        print(error)


if __name__ == "__main__":
    main()
