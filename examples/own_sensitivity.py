"""A sensitivity of your own: how far each layer alone moves the logits at few bits.

In a package with an entry point a suite has networks scored (docs/howto/add-a-search.md); here the
network is made by hand.
"""

from itertools import islice

import torch
from torch import nn

import bitswitch as bs

BITSET: bs.BitSet = (8, 4, 2)


class Moved(bs.Sensitivity):
    """The root mean square by which logits move when one layer alone is quantized."""

    source = "unpublished"

    class Options(bs.Strict):
        """What a suite may set."""

        batches: int = 1
        """Of the training examples."""

    options: Options

    @torch.no_grad()
    def score(self, subject: bs.ScoringInput) -> bs.SensitivityScores:
        """Return a score for every layer and bit-width, and how many examples were seen."""
        model, scores = subject.model, []
        wide: dict[str, bs.LayerBits] = dict.fromkeys(model.layers, bs.FLOAT_BITS)
        seen = list(islice(subject.batches(), self.options.batches))
        examples = sum(len(batch.inputs) for batch in seen)
        for layer in model.layers:
            for bits in subject.bitset:
                squares = 0.0
                for batch in seen:
                    before = model(batch.inputs)
                    with model.at({**wide, layer: bits}):
                        squares += float((model(batch.inputs) - before).square().sum())
                scores.append(bs.Score(layer, "layer", bits, (squares / examples) ** 0.5))
        return bs.SensitivityScores(scores, {"examples": float(examples)})

    def work(self, examples: int, outputs: int) -> bs.ExamplePasses:
        """Return what `bitswitch plan` has to count: examples that pass forward."""
        return bs.ExamplePasses(forward=examples)


def main() -> None:
    """Score a network, and look scores up as searches do."""
    torch.default_generator.manual_seed(0)
    middle = [part for _ in range(3) for part in (nn.Linear(16, 16), nn.ReLU())]
    net = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), *middle, nn.Linear(16, 5))
    inputs = torch.randn(64, 16, generator=torch.Generator().manual_seed(1))
    model = bs.quantize(net, "lsq", bitset=BITSET, example=(16,))
    model.calibrate([inputs])
    model.eval()
    model.switch(bs.FLOAT_BITS)
    batch = bs.Batch(inputs, torch.zeros(64, dtype=torch.int64), torch.arange(64))
    subject = bs.ScoringInput(
        model=model,
        bitset=BITSET,
        batches=lambda: iter([batch]),
        generator=torch.Generator().manual_seed(0),
        task=bs.Classification(),
    )
    found = Moved(Moved.Options()).score(subject)
    scores = bs.Scores(tuple(found.scores), "moved")
    print(f"layers that searches read at {bs.format_bitset(BITSET)}: {', '.join(model.layers)}")
    for layer in model.layers:
        values = [f"{bits} bits {scores.of_policy(layer, bits, bits):.4f}" for bits in BITSET]
        print(f"  {layer}: {', '.join(values)}")
    try:
        scores.of_layer("2")
    except bs.SpecError as error:
        print(error)


if __name__ == "__main__":
    main()
