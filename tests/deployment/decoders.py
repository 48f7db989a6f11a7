"""Small quantized decoders, and what a file has of them."""

import torch

from bitswitch.deployment.export import artifact_of
from bitswitch.deployment.loading import assembled
from bitswitch.plugins.resolve import resolved
from bitswitch.spec.run import RunSpec
from bitswitch.training.build import Parts

VOCABULARY, CONTEXT = 256, 16
MODEL = {
    "name": "llama",
    "options": {"width": 32, "ffn": 64, "blocks": 2, "heads": 4, "kv_heads": 2, "context": 24},
}
DATASET = {"name": "shakespeare", "options": {"context": CONTEXT, "held_out": 64, "test": 160}}


def tokens(count=3, length=CONTEXT, seed=1):
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(VOCABULARY, (count, length), generator=draw)


def run_of(method="double-rounding", bitset=(8, 4, 2), model=None, float_inputs=None, **options):
    """Return a run; ``options`` are the method's."""
    fields = {
        "method": {"name": method, "options": options},
        "model": model or MODEL,
        "dataset": DATASET,
        "bitset": bitset,
        "seed": 0,
        "training": {"epochs": 1, "batch_size": 16, "learning_rate": 1e-3},
        "float_inputs": float_inputs,
    }
    return resolved(RunSpec.model_validate(fields))


def quantized(run):
    """Return the network of ``run``, calibrated, its logits far enough apart to tell."""
    parts = Parts.of(run)
    net = parts.float_net()
    for parameter in net.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(5)
    model = parts.quantized(net, torch.device("cpu"))
    model.calibrate([tokens()])
    return model.eval()


def artifact(model, run):
    return artifact_of(model, run, VOCABULARY, tokens(1))


def integers(model, run):
    return assembled(*artifact(model, run).content, "memory")
