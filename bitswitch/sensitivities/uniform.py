"""Uniform: every layer is as sensitive as every other."""

from bitswitch.contracts.sensitivity import Score, ScoringInput, Sensitivity, SensitivityScores
from bitswitch.types import Strict


class Uniform(Sensitivity):
    """What every other sensitivity has to beat, in searches and as a guide; sees nothing."""

    class Options(Strict):
        """What is reported."""

        by_bits: bool = False
        """Score every bit-width b, 4^-b as the error of a grid goes, instead of the layer, 1."""

    options: Options

    def score(self, subject: ScoringInput) -> SensitivityScores:
        if not self.options.by_bits:
            return SensitivityScores(
                [Score(name, "layer", None, 1.0) for name in subject.model.layers]
            )
        return SensitivityScores(
            [
                Score(name, "layer", bits, 4.0**-bits)
                for name in subject.model.layers
                for bits in subject.bitset
            ]
        )
