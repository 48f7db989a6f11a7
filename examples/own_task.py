"""A dataset, a task and a model of your own: two labels for every example, judged by both.

In a package with entry points a suite trains and judges networks on it (docs/howto/add-a-task.md);
here a full-precision network takes a few steps by hand.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

import bitswitch as bs

FEATURES, CLASSES = 6, 3


class BothRight(bs.Rows):
    """Two classes per example; rows of logits, so that all that classifies works with it."""

    metrics = (
        bs.Metric("both", "Both right", "percent", better="higher", digits=1),
        bs.Metric("loss", "Cross-entropy", "nats", better="lower", digits=3),
    )
    note = "An example counts as right if both of its labels are."

    def rows(self, outputs: Tensor) -> Tensor:
        """Return two rows of logits for every example."""
        return outputs.reshape(-1, CLASSES)

    def labels(self, targets: Tensor) -> Tensor:
        """Return the class of every row."""
        return targets.flatten()

    def evaluator(self) -> bs.Evaluator:
        """Return a new evaluator."""
        return Counter(self)

    def chance(self, outputs: int) -> float:
        """Return the share that guessing has right, in percent."""
        return 100 / CLASSES**2


class Counter(bs.Evaluator):
    """Counts the examples whose labels are both right."""

    def __init__(self, task: BothRight) -> None:
        self.task = task
        self.right: list[int] = []
        self.loss = 0.0

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Count one batch."""
        best = self.task.rows(outputs).argmax(1).reshape(-1, 2)
        self.right += (best == targets).all(1).int().tolist()
        self.loss += float(self.task.loss(outputs, targets)) * len(targets)

    def result(self) -> bs.Found:
        """Return the metrics, and which examples were right: networks are compared by them."""
        count = len(self.right)
        values = {"both": 100 * sum(self.right) / count, "loss": self.loss / count}
        return bs.Found(values, count, correct={"both": self.right})


class Opened(bs.OpenDataset):
    """All splits in memory."""

    def __init__(self, splits: dict[str, bs.Batch]) -> None:
        self.splits = splits

    def size(self, split: str) -> int:
        """Return the number of examples."""
        return len(self.splits[split].indices)

    def train_batches(
        self, batch_size: int, stream: bs.Stream, seed: int, skip: int
    ) -> Iterator[bs.Batch]:
        """Yield shuffled batches, the same whenever seed and stream are the same."""
        drawn = torch.Generator().manual_seed(1000 * seed + 500 + stream.key % 500)
        order = torch.randperm(self.size("train"), generator=drawn)
        whole = order[: len(order) // batch_size * batch_size]
        for part in torch.split(whole, batch_size)[skip:]:
            yield self._part("train", part)

    def batches(self, split: str, batch_size: int) -> Iterator[bs.Batch]:
        """Yield all examples in order."""
        for part in torch.split(torch.arange(self.size(split)), batch_size):
            yield self._part(split, part)

    def _part(self, split: str, places: Tensor) -> bs.Batch:
        return bs.Batch(*(values[places] for values in self.splits[split]))


class Pairs(bs.Dataset):
    """Made-up examples whose two labels are the largest of three features each."""

    source = "unpublished"
    task = BothRight()
    outputs = 2 * CLASSES
    stamp = "made-up pairs"

    def sizes(self) -> dict[str, int]:
        """Return how many examples there are, known without the data."""
        return {"train": 256, "held_out": 64, "test": 128}

    def example(self, count: int, generator: torch.Generator) -> bs.Batch:
        """Return examples; here real ones are made the same way."""
        inputs = torch.randn(count, FEATURES, generator=generator)
        return bs.Batch(inputs, inputs.reshape(count, 2, CLASSES).argmax(2), torch.arange(count))

    def prepare(self, root: Path) -> None:
        """Make the data."""
        root.mkdir(parents=True, exist_ok=True)
        drawn = torch.Generator().manual_seed(1)
        made = {name: tuple(self.example(size, drawn)) for name, size in self.sizes().items()}
        torch.save(made, root / "pairs.pt")

    def check(self, root: Path) -> dict[str, str]:
        """Return facts about the data, or say that there are none."""
        if not (root / "pairs.pt").exists():
            raise bs.DatasetError(
                f"There are no pairs in {root.name}.\n  Make them: prepare() does."
            )
        return {name: str(size) for name, size in self.sizes().items()}

    def open(self, root: Path, device: torch.device) -> bs.OpenDataset:
        """Return the data, on ``device``."""
        self.check(root)
        made = torch.load(root / "pairs.pt", weights_only=True)
        return Opened({k: bs.Batch(*(v.to(device) for v in one)) for k, one in made.items()})


class Perceptron(bs.Model):
    """Three linear layers, or those in a file that is fetched before."""

    source = "unpublished"

    class Options(bs.Strict):
        """What a suite may set."""

        weights: Path | None = None
        """File with all weights; None: they are drawn."""

    options: Options

    def build(self, outputs: int, seed: int) -> nn.Module:
        """Return the network, its weights drawn from ``seed``."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            net = nn.Sequential(
                nn.Linear(FEATURES, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(),
                nn.Linear(32, outputs),
            )  # fmt: skip
        if self.options.weights is not None:
            self.check(outputs)
            net.load_state_dict(torch.load(self.options.weights, weights_only=True))
        return net

    def check(self, outputs: int) -> None:
        """Raise an error where there is no such file; asked before any job."""
        file = self.options.weights
        if file is not None and not file.exists():
            raise bs.WeightsError(f"There are no weights in {file}.\n  Fetch {self.download()}")

    def download(self) -> bs.Download | None:
        """Return what has to be fetched."""
        file = self.options.weights
        return None if file is None else bs.Download(f"https://example.org/{file.name}", file)

    def first_last(self, net: nn.Module) -> bs.FirstLast:
        """Return the layers that stay at full precision; by default they are found by a run."""
        return bs.FirstLast(first=("0",), last=("4",))


def main() -> None:
    """Train, quantize and judge."""
    dataset, architecture = Pairs(bs.Strict()), Perceptron(Perceptron.Options())
    task: bs.Task = dataset.task
    with TemporaryDirectory() as folder:
        root = Path(folder, "pairs")
        try:
            dataset.open(root, torch.device("cpu"))
        except bs.DatasetError as error:
            print(error)
        dataset.prepare(root)
        data = dataset.open(root, torch.device("cpu"))
    net = architecture.build(dataset.outputs, seed=0)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for epoch in range(20):
        for batch in data.train_batches(32, bs.Stream("training", epoch), seed=0, skip=0):
            optimizer.zero_grad()
            task.loss(net(batch.inputs), batch.targets).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    ends = architecture.first_last(net)
    model = bs.quantize(net, "double-rounding", bitset=(8, 4, 2), ends=ends)
    stream = bs.Stream("calibration")
    model.calibrate([batch.inputs for batch in data.train_batches(32, stream, seed=0, skip=0)])
    model.eval()
    print(f"quantized: {', '.join(model.layers)}; guessing: {task.chance(dataset.outputs):.1f} %")
    for bits in model.bitset:
        evaluator = task.evaluator()
        with torch.no_grad(), model.at(bits):
            for batch in data.batches("test", 50):
                evaluator.add(model(batch.inputs), batch.targets)
        found = evaluator.result()
        texts = [f"{one.spoken} {one.text(found.values[one.name])}" for one in task.metrics]
        print(f"{bits} bits, {found.examples} examples: {', '.join(texts)}")
    try:
        Perceptron(Perceptron.Options(weights=Path("perceptron.pt"))).check(dataset.outputs)
    except bs.WeightsError as error:
        print(error)


if __name__ == "__main__":
    main()
