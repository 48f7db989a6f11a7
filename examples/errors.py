"""What bad input says: one error that names what is wrong, the nearest choice and what to do next.

Every error that is expected is a `bs.BitswitchError`; the command line prints its text and exits
with its code, by which a program that calls it tells them apart.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

import bitswitch as bs

CODES: tuple[type[bs.BitswitchError], ...] = (
    bs.SpecError,
    bs.UnknownPluginError,
    bs.TooFewEvaluationsError,
    bs.PluginError,
    bs.DatasetError,
    bs.CheckpointError,
    bs.DeviceError,
    bs.RunDirectoryError,
    bs.RecordError,
    bs.ReportError,
    bs.ArtifactError,
    bs.WeightsError,
    bs.LockError,
    bs.BitWidthError,
    bs.CalibrationError,
    bs.InfeasibleBudgetError,
    bs.UnreachableBudgetError,
    bs.LatencyBudgetError,
    bs.EncodingError,
    bs.RanksError,
)
"""All of them but `bs.Interrupted`, whose code is that of the signal that asked to stop."""


def mistakes(folder: Path) -> Mapping[str, Callable[[], object]]:
    """Return what to do wrong, by what it is.

    Args:
        folder: Is empty.
    """
    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    model = bs.quantize(net, "lsq", bitset=(8, 4), example=(8,))
    digits = bs.create("datasets", "digits", {"size": 8, "train": 20, "test": 10})
    return {
        "a method that is misspelt": lambda: bs.create("methods", "double-roundin", {}, (8, 4)),
        "an option that is misspelt": lambda: bs.create(
            "methods", "double-rounding", {"rouding": "double"}, (8, 4)
        ),
        "a bit set in the wrong order": lambda: bs.create("methods", "lsq", {}, (4, 8)),
        "a bit-width that is not there": lambda: model.switch(5),
        "a layer that is not there": lambda: model.switch({"3": 4}),
        "no images to calibrate with": lambda: model.calibrate([]),
        "a value that is no number": lambda: bs.integers(torch.tensor([float("nan")])),
        "data that were not made": lambda: digits.open(folder, torch.device("cpu")),
        "a file that is not there": lambda: bs.load(folder / "model.safetensors"),
    }


def main() -> None:
    """Make every mistake, then list the codes."""
    with TemporaryDirectory() as name:
        for title, mistake in mistakes(Path(name)).items():
            try:
                mistake()
            except bs.BitswitchError as error:
                text = str(error).replace(name, "FOLDER").replace("\n", "\n    ")
                print(f"{title}: {type(error).__name__}\n    {text}")
    print("exit codes")
    for kind in CODES:
        print(f"  {kind.exit_code:3}  {kind.__name__}: {(kind.__doc__ or '').splitlines()[0]}")
    stopped = bs.Interrupted("The run was asked to stop.")
    print(f"  {stopped.exit_code:3}  {type(stopped).__name__}, by SIGTERM")
    finding = bs.Diverged("the loss is nan")  # of a run, which is recorded; the others go on
    print(f"no error, but a finding: {type(finding).__name__} ({finding})")
    print(f"all plugins are a {bs.Plugin.__name__}: {issubclass(bs.Method, bs.Plugin)}")


if __name__ == "__main__":
    main()
