"""Weight quantization error: how far the quantized weights are from the real ones."""

from typing import Literal

from bitswitch.contracts.sensitivity import Score, ScoringInput, Sensitivity, SensitivityScores
from bitswitch.sensitivities.weight_error import squared_weight_errors
from bitswitch.types import Strict


class QuantizationError(Sensitivity):
    """Squared error of the quantized weights of every layer at every bit-width; sees no data."""

    class Options(Strict):
        """What is reported."""

        average: Literal["sum", "mean"] = "sum"
        """Over the weights of a layer."""

    options: Options

    def score(self, subject: ScoringInput) -> SensitivityScores:
        errors = squared_weight_errors(subject.model, subject.bitset)
        scores = []
        for (name, bits), error in errors.items():
            weights = subject.model.layers[name].weight.numel()
            count = weights if self.options.average == "mean" else 1
            scores.append(Score(name, "layer", bits, error / count))
        return SensitivityScores(scores)
