"""Hessian traces of the layers of a subject, for the sensitivities that are made from them."""

import logging
from functools import partial
from math import isfinite

import torch
from pydantic import Field

from bitswitch.contracts.card import ExamplePasses
from bitswitch.contracts.sensitivity import ScoringInput
from bitswitch.sensitivities.hessian.hessian import (
    EstimatorName,
    sample_input_traces,
    sample_traces,
)
from bitswitch.sensitivities.hessian.orthogonal_signs import population
from bitswitch.sensitivities.hessian.trace_samples import TraceSamples
from bitswitch.types import Strict

log = logging.getLogger(__name__)


_VARIANCE = 2.44
"""Squared relative error of a trace, for one image and one probe out of many."""


class TraceOptions(Strict):
    """How traces are estimated, and how precisely."""

    estimator: EstimatorName = "gauss-newton"
    """``gauss-newton``: the faster, exact for networks of convolutions, linear layers, frozen
    batch norm, pooling and piecewise linear activations, which is checked; ``hutchinson``:
    random probes of the Hessian itself, for any network."""
    relative_error: float = Field(0.02, gt=0)
    """Probes are added until no layer's standard error is a larger share of its trace."""
    max_probes: int = Field(64, ge=2)
    """For each image, whatever the error."""
    batch_size: int = Field(16, ge=1)
    """Images that go through the network at a time."""


def work_of(options: TraceOptions, examples: int, outputs: int) -> ExamplePasses:
    """Return what an estimation takes: a pass for every probe and example.

    How many probes there will be was fitted to ResNets and MobileNetV2 on digits; probes of the
    Hessian itself are noisier, and take three passes.
    """
    if options.estimator == "hutchinson":
        return ExamplePasses(trained=3 * options.max_probes * examples)
    all_signs = population(outputs)
    probes = 1 / (examples * options.relative_error**2 / _VARIANCE + 1 / all_signs)
    return ExamplePasses(trained=min(max(probes, 2), options.max_probes) * examples)


def traced(
    subject: ScoringInput, options: TraceOptions, who: str, inputs: bool = False
) -> TraceSamples:
    """Return samples of the trace of every switchable layer, in the order of the model's layers.

    Args:
        subject: Is left as it is.
        options: Precision that is not reached is logged.
        who: Name of the plugin, for that message.
        inputs: Whether traces are for what layers read, not for their weights.
    """
    sample = sample_input_traces if inputs else partial(sample_traces, estimator=options.estimator)
    samples = sample(
        subject.model,
        subject.model.layers,
        subject.batches,
        seed=int(torch.randint(2**62, (), generator=subject.generator)),
        relative_error=options.relative_error,
        max_probes=options.max_probes,
        batch_size=options.batch_size,
        task=subject.task,
    )
    error = samples.relative(samples.standard_errors)
    if error > options.relative_error:
        log.warning(
            "%s: %d probes leave an error of %.1f %% in a layer's trace; "
            "for %.1f %%, raise max_probes",
            who,
            samples.probes,
            100 * error,
            100 * options.relative_error,
        )
    return samples


def facts_of(samples: TraceSamples) -> dict[str, float]:
    """Return what records say of an estimation; errors that are not known are left out."""
    errors = {
        "largest_relative_error": samples.relative(samples.standard_errors),
        "largest_relative_sampling_error": samples.relative(samples.sampling_errors),
    }
    known = {name: error for name, error in errors.items() if isfinite(error)}
    return {"probes": samples.probes, "images": int(samples.images.sum()), **known}
