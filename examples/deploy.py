"""Train a tiny run, write its network as integers, and run the file at every bit-width."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import bitswitch as bs
from bitswitch import stages
from bitswitch.plugins.resolve import resolved


def run_of(method: str) -> bs.RunSpec:
    """Return a run of a few steps, as a suite would describe it."""
    recipe = bs.TrainingSpec(epochs=2, batch_size=16, learning_rate=0.003)
    dataset = {"name": "digits", "options": {"size": 8, "train": 48, "held_out": 20, "test": 40}}
    fields = {
        "method": method,
        "model": "resnet8",
        "dataset": dataset,
        "bitset": (8, 4, 2),
        "training": recipe,
        "seed": 0,
    }
    return resolved(bs.RunSpec.model_validate(fields))  # every option spelled out, and checked


def main() -> None:
    """Do what `bitswitch export` and a server that switches do."""
    with TemporaryDirectory() as folder:
        results, data = Path(folder, "results"), Path(folder, "data")
        file = Path(folder, "model.safetensors")
        run = run_of("double-rounding")
        try:
            stages.export(run, results, file)
        except bs.CheckpointError as error:
            print("before training:", _first_line(error, folder))
        stages.prepare(run.dataset, data)
        stages.train(run, results, data, "cpu")
        stages.export(run, results, file)  # compares every weight with training, bit for bit

        model: bs.IntegerModel = bs.load(file)
        images = torch.randn(
            4, *model.facts.input.shape, generator=torch.Generator().manual_seed(0)
        )
        widest = model(images)
        for bits in model.bitset:
            model.switch(bits)  # rounds the stored codes; requests in progress are not disturbed
            print(f"{bits} bits: classes {model(images).argmax(1).tolist()}")
        model.switch(8)
        print("switching leaves no trace:", torch.equal(model(images), widest))
        mixed: bs.Policy = {layer: 4 for layer in model.layers} | {model.layers[0]: 8}
        with model.at(mixed):  # this thread alone; others stay at 8 bits
            print(f"first layer at 8 bits, the others at 4: {model(images).argmax(1).tolist()}")

        file.write_bytes(file.read_bytes()[:-100])
        try:
            bs.load(file)
        except bs.ArtifactError as error:
            print("a damaged file:", _first_line(error, folder))
        try:
            stages.export(run_of("lsq"), results, file)
        except bs.EncodingError as error:
            print("another method:", _first_line(error, folder))


def _first_line(error: bs.BitswitchError, folder: str) -> str:
    return str(error).splitlines()[0].replace(f"{folder}/", "")


if __name__ == "__main__":
    main()
