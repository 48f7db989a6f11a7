"""Hessian trace: how curved the loss is in the weights of every layer at full precision."""

from bitswitch.contracts.card import ExamplePasses
from bitswitch.contracts.sensitivity import Score, ScoringInput, Sensitivity, SensitivityScores
from bitswitch.sensitivities.hessian.traces import TraceOptions, facts_of, traced, work_of


class HessianTrace(Sensitivity):
    """Trace of each layer's diagonal block of the Hessian of the loss, over training images.

    Source: dong2020hawq (mean trace); huang2025nearly, section 3.3 (HMT).
    """

    source = "dong2020hawq"

    class Options(TraceOptions):
        """How traces are estimated, and what is reported."""

        normalized: bool = True
        """Whether a trace is divided by the number of the layer's weights."""

    options: Options

    def work(self, examples: int, outputs: int) -> ExamplePasses:
        return work_of(self.options, examples, outputs)

    def score(self, subject: ScoringInput) -> SensitivityScores:
        samples = traced(subject, self.options, "hessian-trace")
        found = zip(samples.means.tolist(), samples.standard_errors.tolist(), strict=True)
        scores = []
        for (name, layer), (trace, off) in zip(subject.model.layers.items(), found, strict=True):
            count = layer.weight.numel() if self.options.normalized else 1
            scores.append(Score(name, "layer", None, trace / count, off / count))
        return SensitivityScores(scores, facts_of(samples))
