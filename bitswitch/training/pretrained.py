"""Try published weights on a batch before anything is built on them."""

from copy import deepcopy

import torch
from torch import nn

from bitswitch.contracts.data import OpenDataset
from bitswitch.contracts.streams import Stream
from bitswitch.contracts.task import Task
from bitswitch.errors import WeightsError
from bitswitch.spec.run import RunSpec

EXAMPLES = 64


@torch.no_grad()
def check_pretrained(
    net: nn.Module,
    spec: RunSpec,
    task: Task,
    outputs: int,
    dataset: OpenDataset,
    device: torch.device,
) -> None:
    """Hold a network that was trained elsewhere to better than guessing, on training examples.

    Args:
        net: On the processor; is left as it is.
        spec: Of the run, for messages and its seed.
        task: Of the dataset.
        outputs: Of the network.
        dataset: Open on ``device``.
        device: Where the trial runs.

    Raises:
        WeightsError: it is no better than guessing.
    """
    count = min(EXAMPLES, dataset.size("train"))
    batch = next(dataset.train_batches(count, Stream("pretrained check"), spec.seed, skip=0))
    trial = deepcopy(net).to(device).eval()
    evaluator, metric = task.evaluator(), task.headline
    evaluator.add(trial(batch.inputs), batch.targets)
    found = evaluator.result().values[metric.name]
    if task.is_chance(found, outputs, count):
        raise WeightsError(
            f"Model '{spec.model.name}' with weights '{spec.model.options.get('weights')}' "
            f"has a {metric.title} of {metric.text(found)} on {count} training examples of "
            f"'{spec.dataset.name}', no better than guessing.\n"
            f"  Are its outputs those it was trained on, in the same order, and are inputs "
            f"normalised alike? 'bitswitch data check {spec.dataset.name}' looks at the folders;\n"
            f"  or train it at full precision first: float_training"
        )
