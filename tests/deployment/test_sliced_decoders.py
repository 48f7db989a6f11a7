"""Decoders whose narrow codes are slices of wide ones: what is trained is what is deployed."""

import pytest
import torch

from bitswitch.contracts.data import Batch
from bitswitch.deployment.export import verify
from bitswitch.deployment.onnx import blocks
from bitswitch.deployment.onnx.export import graph_of
from bitswitch.deployment.onnx.runtime import Session
from bitswitch.training.build import Parts
from tests.deployment import decoders

CASES = {
    "matquant": ("matquant", {}, None),
    "weights only": ("matquant", {}, "all"),
    "beyond the range": ("matquant", {"clamp": False}, "all"),
    "in groups": ("matgptq", {"examples": 4, "weight_granularity": "per-group-16"}, "all"),
    "asymmetric": ("matgptq", {"examples": 4, "grid": "asymmetric"}, None),
}


@pytest.mark.parametrize(("method", "options", "float_inputs"), CASES.values(), ids=CASES)
def test_slices_of_decoders(method, options, float_inputs, monkeypatch):
    monkeypatch.setattr(blocks, "ACCURACY_LEVEL", 0)  # float inputs stay as they are
    run = decoders.run_of(method, float_inputs=float_inputs, **options)
    model, ids = decoders.quantized(run), decoders.tokens()
    batch = Batch(ids, ids, torch.arange(len(ids)))
    Parts.of(run).method.finish(model, lambda: iter([batch]))
    integers = decoders.integers(model, run)
    verify(integers, model)
    for bits in run.bitset:
        with integers.at(bits), model.at(bits), torch.no_grad():
            logits, found = model(ids), integers(ids)
            in_runtime = Session(graph_of(integers, bits))(ids)
        apart = (in_runtime - found).abs().flatten(0, -2).amax(-1) > 1e-4 * found.abs().max()
        assert apart.float().mean() < 0.05
        if float_inputs == "all":
            torch.testing.assert_close(found, logits, rtol=1e-4, atol=1e-4)
        else:  # a code at a tie may flip
            assert (found - logits).abs().mean() < 0.02 * logits.std()
