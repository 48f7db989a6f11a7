"""Try published weights on a batch before anything is built on them."""

from copy import deepcopy

import torch
from torch import nn

from bitswitch.contracts.data import OpenDataset
from bitswitch.contracts.streams import Stream
from bitswitch.errors import WeightsError
from bitswitch.spec.run import RunSpec
from bitswitch.training.health import at_chance

IMAGES = 64


@torch.no_grad()
def check_pretrained(
    net: nn.Module, spec: RunSpec, dataset: OpenDataset, classes: int, device: torch.device
) -> None:
    """Hold a network that was trained elsewhere to better than guessing, on training images.

    Args:
        net: On the processor; is left as it is.
        spec: Of the run, for messages and its seed.
        dataset: Open on ``device``.
        classes: Of the dataset.
        device: Where the trial runs.

    Raises:
        WeightsError: it recognises no more than guessing would.
    """
    images = min(IMAGES, dataset.size("train"))
    batch = next(dataset.train_batches(images, Stream("pretrained check"), spec.seed, skip=0))
    trial = deepcopy(net).to(device).eval()
    correct = int((trial(batch.inputs).argmax(1) == batch.targets).sum())
    if at_chance({0: 100 * correct / images}, classes, images):
        raise WeightsError(
            f"Model '{spec.model.name}' with weights '{spec.model.options.get('weights')}' "
            f"recognises {correct} of {images} training images of '{spec.dataset.name}', no more "
            f"than guessing.\n"
            f"  Are the classes those it was trained on, in the same order, and are images "
            f"normalised alike? 'bitswitch data check {spec.dataset.name}' looks at the folders;\n"
            f"  or train it at full precision first: float_training"
        )
