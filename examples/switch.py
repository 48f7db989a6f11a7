"""Train one network for 8, 4 and 2 bits by a loop of your own, and run it at each of them."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.nn.functional import cross_entropy

import bitswitch as bs

BITSET: bs.BitSet = (8, 4, 2)
EPOCHS = 2


def main() -> None:
    """Train at full precision, then at all bit-widths in every step, then compare."""
    with TemporaryDirectory() as folder:
        digits = bs.create("datasets", "digits", {"size": 12, "train": 384, "test": 200})
        digits.prepare(Path(folder))
        data = digits.open(Path(folder), torch.device("cpu"))
        net = bs.create("models", "resnet8", {}).build(outputs=digits.outputs, seed=0)

        first = bs.quantize(net, bs.create("methods", "double-rounding", {}, (bs.FLOAT_BITS,)))
        _train(first, data, (bs.FLOAT_BITS,), rate=0.003, epochs=5)

        model = bs.quantize(first.net, "double-rounding", bitset=BITSET)
        calibration = data.train_batches(64, bs.Stream("calibration"), seed=0, skip=0)
        model.calibrate([batch.inputs for batch in calibration])
        _train(model, data, BITSET, rate=0.001, epochs=EPOCHS)

        print(f"one network for {bs.format_bitset(BITSET)}, Top-1 of {data.size('test')} images")
        for bits in BITSET:
            print(f"  {bits} bits: {_accuracy(model, data, bits):.1f} %")
        some = torch.Generator().manual_seed(0)
        mixed: bs.Policy = bs.random_policy(list(model.layers), BITSET, some)
        for name, drawn in list(mixed.items())[:3]:
            print(f"  {name}: {drawn} (weights, inputs)")
        print(f"  bit-widths of each layer as drawn: {_accuracy(model, data, mixed):.1f} %")


def _train(
    model: bs.QuantizedModel, data: bs.OpenDataset, bitset: bs.BitSet, rate: float, epochs: int
) -> None:
    """Add up the gradients of all bit-widths, widest first; each one teaches the next."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    model.train()
    for epoch in range(epochs):
        for batch in data.train_batches(32, bs.Stream("training", epoch), seed=0, skip=0):
            optimizer.zero_grad()
            teacher = None
            for bits in bitset:
                with model.at(bits):
                    logits = model(batch.inputs)
                    if teacher is None:
                        loss = cross_entropy(logits, batch.targets)
                    else:
                        loss = bs.distilled(logits, batch.targets, teacher, share=0.5)
                    loss.backward()  # type: ignore[no-untyped-call]
                teacher = logits.detach()
            optimizer.step()


@torch.no_grad()
def _accuracy(model: bs.QuantizedModel, data: bs.OpenDataset, policy: int | bs.Policy) -> float:
    evaluator = bs.Classification().evaluator()
    model.eval()
    with model.at(policy):
        for batch in data.batches("test", 200):
            evaluator.add(model(batch.inputs), batch.targets)
    return evaluator.result().values["top1"]


if __name__ == "__main__":
    main()
