"""Small quantized networks with batch norms that do something, and what a file has of them."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitswitch.deployment.export import artifact_of
from bitswitch.deployment.loading import assembled
from bitswitch.plugins.resolve import resolved
from bitswitch.spec.run import RunSpec
from bitswitch.training.build import Parts

DATASET = {"name": "digits", "options": {"size": 8, "train": 48, "held_out": 20, "test": 40}}
CLASSES = 10


def images(size=8, count=6, seed=1):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def lively(net):
    """Give batch norms statistics and parameters that tell channels and copies apart."""
    draw = torch.Generator().manual_seed(2)
    for norm in (m for m in net.modules() if isinstance(m, _BatchNorm)):
        norm.running_mean.normal_(std=0.1, generator=draw)
        norm.running_var.uniform_(0.5, 2, generator=draw)
        nn.init.uniform_(norm.weight, 0.5, 1.5, generator=draw)
        nn.init.normal_(norm.bias, std=0.1, generator=draw)
    return net


def run_of(method="double-rounding", model="resnet8", bitset=(8, 4, 2), **options):
    """Return a run; ``options`` are the method's."""
    fields = {
        "method": {"name": method, "options": options},
        "model": model,
        "dataset": DATASET,
        "bitset": bitset,
        "seed": 0,
        "training": {"epochs": 1, "batch_size": 16, "learning_rate": 5e-4, "weight_decay": 5e-5},
    }
    return resolved(RunSpec.model_validate(fields))


def quantized(run, size=8):
    """Return the network of ``run``, calibrated; its batch norms differ between bit-widths."""
    dataset = run.dataset.model_copy(update={"options": {**run.dataset.options, "size": size}})
    parts = Parts.of(run.model_copy(update={"dataset": dataset}))
    model = parts.quantized(lively(parts.float_net()), torch.device("cpu"))
    model.calibrate([images(size)])
    draw = torch.Generator().manual_seed(3)
    for name, value in model.named_parameters():
        if ".weight." in name and value.dim() == 1:  # those of batch norms
            value.data.mul_(torch.rand(value.shape, generator=draw) / 5 + 0.9)
    return model.eval()


def artifact(model, run, size=8):
    return artifact_of(model, run, CLASSES, images(size, 1))


def integers(model, run, size=8):
    return assembled(*artifact(model, run, size).content, "memory")
