"""Weight quantization error: how far the quantized weights are from the real ones."""

from typing import Literal

import torch

from bitswitch.contracts import Findings, Score, Sensitivity, Subject
from bitswitch.quant.quantizer import Width
from bitswitch.types import Strict


class QuantizationError(Sensitivity):
    """Squared error of the quantized weights of every layer at every bit-width; sees no data."""

    class Options(Strict):
        """What is reported."""

        average: Literal["sum", "mean"] = "sum"
        """Over the weights of a layer."""

    options: Options

    @torch.no_grad()
    def score(self, subject: Subject) -> Findings:
        model = subject.model
        scores = []
        for name, layer in model.layers.items():
            for bits in subject.bitset:
                with model.at(bits):
                    quantized = layer.weight_quantizer(layer.weight, Width.of(bits, model.bitset))
                    error = (quantized - layer.weight).double().square()
                value = error.sum() if self.options.average == "sum" else error.mean()
                scores.append(Score(name, "layer", bits, float(value)))
        return Findings(scores)
