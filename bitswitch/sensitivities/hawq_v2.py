"""HAWQ-V2: how much quantization changes the weights, times how curved the loss is in them."""

from typing import Literal

from bitswitch.contracts import Findings, Score, Sensitivity, Subject, Work
from bitswitch.nn.weight_error import squared_weight_errors
from bitswitch.sensitivities.traces import TraceOptions, facts_of, traced, work_of


class HawqV2(Sensitivity):
    """Omega_l(b) = Tr(H_l) / n_l * ||Q_b(W_l) - W_l||^2 of every layer l and bit-width b.

    H_l is the block of the Hessian of the loss for the n_l weights W_l, at full precision; Q_b are
    the quantizers of the network. The mean trace goes with the summed squared error, or the trace
    with the mean one: a trace times a summed error would count n_l twice, a mean trace times a
    mean error not at all. Half of it, summed over layers, is the expected rise of the loss where
    errors are uncorrelated and of mean zero.

    Source: dong2020hawq (perturbation weighted by the mean trace).
    """

    source = "dong2020hawq"

    class Options(TraceOptions):
        """How traces are estimated, and what becomes of negative ones."""

        negative: Literal["clip", "keep"] = "clip"
        """A negative trace is 0, or stays and makes fewer bits look better. Those of networks with
        piecewise linear activations are never negative; estimates by ``hutchinson`` may be."""

    options: Options

    def work(self, images: int, classes: int) -> Work:
        return work_of(self.options, images, classes)

    def score(self, subject: Subject) -> Findings:
        layers, clips = subject.model.layers, self.options.negative == "clip"
        samples = traced(subject, self.options, "hawq-v2")
        means, offs = samples.means.tolist(), samples.standard_errors.tolist()
        traces = dict(zip(layers, zip(means, offs, strict=True), strict=True))
        scores = []
        for (name, bits), error in squared_weight_errors(subject.model, subject.bitset).items():
            trace, off = traces[name]
            factor = float(error) / layers[name].weight.numel()
            value = factor * (max(trace, 0.0) if clips else trace)
            scores.append(Score(name, "layer", bits, value, factor * off))
        negative = sum(trace < 0 for trace in means)
        return Findings(scores, {**facts_of(samples), "negative": negative})
