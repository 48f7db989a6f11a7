"""HAWQ-V2: how much quantization changes an operand, times how curved the loss is in it."""

from collections.abc import Iterator, Mapping
from typing import Literal

from bitswitch.contracts.card import ExamplePasses
from bitswitch.contracts.sensitivity import (
    Operand,
    Score,
    ScoringInput,
    Sensitivity,
    SensitivityScores,
)
from bitswitch.sensitivities.hessian.trace_samples import TraceSamples
from bitswitch.sensitivities.hessian.traces import TraceOptions, facts_of, traced, work_of
from bitswitch.sensitivities.input_error import squared_input_errors
from bitswitch.sensitivities.weight_error import squared_weight_errors


class HawqV2(Sensitivity):
    """Omega_l(b) = Tr(H_l) / n_l * ||Q_b(x_l) - x_l||^2 of every layer l and bit-width b.

    x_l are the n_l weights of the layer, or the n_l numbers that it reads of an image, where the
    squared error is its mean over images. H_l is the block of the Hessian of the loss for them, at
    full precision; Q_b are the quantizers of the network. The mean trace goes with the summed
    squared error, or the trace with the mean one: a trace times a summed error would count n_l
    twice, a mean trace times a mean error not at all. Half of it, summed over layers, is the
    expected rise of the loss where errors are uncorrelated and of mean zero.

    Training at low bit-widths makes up for the error of weights, not for that of inputs: in
    networks that were trained at their bit-widths, ``inputs`` says more of what a policy is worth.

    Source: dong2020hawq (perturbation weighted by the mean trace, for weights and activations).
    """

    source = "dong2020hawq"

    class Options(TraceOptions):
        """How traces are estimated, whose, and what becomes of negative ones."""

        operands: Literal["weights", "inputs", "both"] = "weights"
        """What is scored. ``both`` tells them apart, so that searches may choose a bit-width for
        each. Traces for inputs are those of Gauss-Newton, whatever ``estimator`` says."""
        negative: Literal["clip", "keep"] = "clip"
        """A negative trace is 0, or stays and makes fewer bits look better. Those of networks with
        piecewise linear activations are never negative; estimates by ``hutchinson`` may be."""

    options: Options

    def work(self, examples: int, outputs: int) -> ExamplePasses:
        once = work_of(self.options, examples, outputs).trained
        gauss_newton = self.options.model_copy(update={"estimator": "gauss-newton"})
        for_inputs = examples + work_of(gauss_newton, examples, outputs).trained
        by_operand = {"weights": once, "inputs": for_inputs, "both": once + for_inputs}
        return ExamplePasses(trained=by_operand[self.options.operands])

    def score(self, subject: ScoringInput) -> SensitivityScores:
        operands, both = self.options.operands, self.options.operands == "both"
        scores: list[Score] = []
        facts: dict[str, float] = {}
        if operands != "inputs":
            samples = traced(subject, self.options, "hawq-v2")
            errors = squared_weight_errors(subject.model, subject.bitset)
            counts = {name: layer.weight.numel() for name, layer in subject.model.layers.items()}
            scores += self._omegas("weight" if both else "layer", samples, errors, counts)
            facts = facts_of(samples) | {"negative": int((samples.means < 0).sum())}
        if operands != "weights":
            samples = traced(subject, self.options, "hawq-v2", inputs=True)
            read = squared_input_errors(subject.model, subject.bitset, subject.batches)
            operand: Operand = "activation" if both else "layer"
            scores += self._omegas(operand, samples, read.squared, read.elements)
            before = "input_" if both else ""
            facts |= {before + name: value for name, value in facts_of(samples).items()}
        return SensitivityScores(scores, facts)

    def _omegas(
        self,
        operand: Operand,
        samples: TraceSamples,
        errors: Mapping[tuple[str, int], float],
        counts: Mapping[str, float],
    ) -> Iterator[Score]:
        """Yield the score of every layer and bit-width.

        Args:
            operand: What is scored.
            samples: Of the traces, in the order of ``counts``.
            errors: Summed squared errors by (layer, bits).
            counts: How many numbers the operand has, by layer.
        """
        means, offs = samples.means.tolist(), samples.standard_errors.tolist()
        traces = dict(zip(counts, zip(means, offs, strict=True), strict=True))
        for (name, bits), error in errors.items():
            trace, off = traces[name]
            factor = error / counts[name]
            kept = max(trace, 0.0) if self.options.negative == "clip" else trace
            yield Score(name, operand, bits, factor * kept, factor * off)
