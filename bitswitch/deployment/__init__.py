"""One stored integer model that switches its bit-width at run time.

``bitswitch export RUN -o model.safetensors`` writes the file, ``bitswitch.load`` reads it::

    import bitswitch as bs

    model = bs.load("model.safetensors")   # IntegerModel, at its widest bit-width
    model.switch(4)                        # or a policy: {layer: bits or (weight, input), ...}
    logits = model(images)                 # float32 [n, classes]
    with model.at(2):                      # this thread alone; others go on as before
        logits = model(images)

Writing and reading
    ``export.export(run, runs, file)``: the network of a finished run, to a file.
    ``export.artifact_of(model, ...)``: the same of a ``QuantizedModel``, in memory.
    ``load(path, device="cpu", keep_narrow=False)``: checks everything; raises ``ArtifactError``.

``IntegerModel``
    ``bitset``, ``layers`` (names that a policy sets), ``policy``, ``facts`` (what the file says:
    ``description.Description``), ``net`` (the network: ``layers.IntegerConv2d``,
    ``IntegerLinear``, ``FoldedBatchNorm`` where layers and batch norms were).
    ``switch(policy)``, ``at(policy)``, ``model(images)``.
    ``snapshot(policy)``: all integers and scales of one policy, immutable. ``.layers[name]`` is an
    ``Operands``: ``codes`` int8, ``weight_scale``, ``weight_zero_point``, ``grid`` (``InputGrid``:
    ``scale``, ``zero_point``, ``low``, ``high``; ``TokenGrid``: a scale follows from each token;
    None: the input stays float); ``.norms[name]`` is ``(multiplier, shift)``. What an exporter to
    another format needs.
    ``storage()``: bytes in memory. ``bounds()``: worst case of every layer's accumulators.

Against training
    ``verification.parity.parity(file, run, ...)`` and ``verification.parity.compare(trained, model,
    batches, policy, task)``: the task's headline of both, largest difference of logits, predictions
    that differ, and how many of those are ties.

With onnxruntime
    ``onnx.export.write(model, policy, path)``, ``onnx.runtime.Session.of(model, policy)(images)``;
    ``onnx.parity.compare(model, batches, policy, task)``: predictions beside those of the integer
    model; ``latency.measure(model)``. ``onnx.step.StepSession(step_graph_of(model, policy))`` reads
    one token at a time. See docs/explanation/onnx.md.

Requests that are being served keep the bit-widths they began with; those that begin after
``switch`` has returned see the new ones. See docs/explanation/deployment.md.
"""

from bitswitch.deployment.loading import load
from bitswitch.deployment.model import IntegerModel

__all__ = ["IntegerModel", "load"]
