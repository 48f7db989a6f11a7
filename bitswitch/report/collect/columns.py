"""Columns of the tidy tables, by name of their file."""

from bitswitch.contracts.sensitivity import Score
from bitswitch.results.correct import Correct
from bitswitch.results.deployments import Rounding, Storage
from bitswitch.results.records import ScaleGradient

METRICS = (
    "suite",
    "data",
    "source",
    "experiment",
    "network",
    "method",
    "model",
    "dataset",
    "bitset",
    "variant",
    "seed",
    "search",
    "search_seed",
    "policy",
    "split",
    "metric",
    "value",
    "unit",
    "noise",
    "run",
    "status",
    "where",
)
"""Columns of ``metrics.csv``. ``source`` is ``reproduced`` or ``published``; ``where`` says why a
value is missing, or in which printed table it stands. ``search`` is the identifier of the search
that found the policy; then ``policy`` is the name of its budget, else a bit-width. ``noise`` is the
95 % half-width of a headline on the test split, from its size alone; empty where not known."""

CORRECT_EXAMPLES = ("job", *Correct.model_fields)
"""Columns of ``correct_examples.csv``: one row per job, policy and metric that is a share of test
examples; ``packed`` says which of them were right, see ``bitswitch.results.correct``. A deployment
has the identifier of its run, and metrics that end in ``_integer`` and ``_onnx``."""

CURVES = (
    "run",
    "epoch",
    "steps",
    "learning_rate",
    "bits",
    "loss",
    "headline",
    "held_out_loss",
    "held_out_headline",
    "scale_learning_rate",
    "negative_share",
    "mean_gradient",
)
"""Columns of ``curves.csv``: one row per run, epoch and bit-width; ``headline``: of its task."""

SCALE_GRADIENTS = (
    "run",
    "epoch",
    "operand",
    "bits",
    "position",
    "layer",
    *ScaleGradient.model_fields,
)
"""Columns of ``scale_gradients.csv``; ``position`` counts layers from the input, from 0."""

TASKS = (
    "network",
    "metric",
    "title",
    "unit",
    "better",
    "digits",
    "measure",
    "chance",
    "chance_bound",
    "note",
    "scale",
    "example",
    "beside",
)
"""Columns of ``tasks.csv``: one row per network of the suite, about the headline of its task:
``measure``, what sentences call it; ``example``, what they call what is counted; ``beside``,
metrics beside it, JSON; ``chance``, of a network that knows nothing, and
``chance_bound``, up to which it may be guessing on the test split; empty where that is not known.
"""

RUNS = (
    "run",
    "status",
    "diagnosis",
    "method",
    "model",
    "dataset",
    "bitset",
    "seed",
    "epochs",
    "batch_size",
    "learning_rate",
    "update",
    "alrs",
    "storage",
    "sliced",
    "inputs",
    "steps",
    "train_time_s",
    "time_kind",
    "evaluate_time_s",
    "other_time_s",
    "wall_time_s",
    "peak_memory_mib",
    "energy_j",
    "train_energy_j",
    "energy_source",
    "energy_shared",
    "no_energy",
    "parameters",
    "threads",
    "device_name",
    "instructions",
    "negative_share",
    "reflections",
    "data_stamp",
    "classes",
    "test_images",
    "bitswitch_version",
    "commit",
    "code_hash",
    "python",
    "torch",
    "torchvision",
    "platform",
    "started",
    "finished",
)
"""Columns of ``runs.csv``: one row per run, complete or not. ``energy_source``: what the counter is
of, and ``energy_shared``, whether it holds that of others too; ``no_energy``: why there is none."""

LATER = (
    *("energy_j", "train_energy_j", "energy_source", "energy_shared", "no_energy"),
    *("embedding_and_head", "switch_s", "instructions"),
)
"""Columns that tables of earlier versions lack; they are read as empty."""

METHODS = (
    "method",
    "title",
    "source",
    "fidelity",
    "storage",
    "licence",
    "first_last_bits",
    "left_open",
    "deviations",
    "missing",
    "published_recipes",
)
"""Columns of ``methods.csv``: one row per method of the suite, from its card;
``published_recipes`` is JSON."""

SENSITIVITIES = (
    "sensitivity",
    "plugin",
    "run",
    "model",
    "epoch",
    "bitset",
    "seed",
    "images",
    "status",
    "diagnosis",
    "time_s",
    "wall_time_s",
    "peak_memory_mib",
    "facts",
    "code_hash",
)
"""Columns of ``sensitivities.csv``: one row per sensitivity; ``epoch`` is empty for the trained
network, 0 for the one before training; ``facts`` is JSON."""

SCORES = ("sensitivity", "position", *Score._fields)
"""Columns of ``scores.csv``: one row per score; ``position`` counts layers from the input."""

SENSITIVITY_USES = (
    "experiment",
    "network",
    "variant",
    "bitset",
    "seed",
    "use",
    "sensitivity",
)
"""Columns of ``sensitivity_uses.csv``: which sensitivity serves which place; ``use`` is
``reported``, ``guide`` of the training, or ``search``."""

NEEDS = ("job", "needs")
"""Columns of ``needs.csv``: which run or sensitivity a run, sensitivity or search needs, one per
row; what those need stands in rows of its own."""

COSTS = ("bitops", "size", "average_bits", "weighted_average_bits", "activation_bits", "latency")
"""Of a policy: operations, bits, mean bits, milliseconds."""

POLICIES = (
    "search",
    "plugin",
    "run",
    "model",
    "seed",
    "budget",
    "cost",
    "limit",
    "tied",
    "status",
    "diagnosis",
    "objective",
    "held_out_headline",
    "candidates",
    "evaluations",
    "search_time_s",
    "retraining_epochs",
    "retraining_time_s",
    "uniform_bits",
    "uniform_cost",
    "first_last",
    *COSTS,
    "code_hash",
)
"""Columns of ``policies.csv``: one row per search and budget; ``cost`` is what that limits."""

POLICY_LAYERS = (
    "search",
    "budget",
    "position",
    "layer",
    "weight_bits",
    "activation_bits",
)
"""Columns of ``policy_layers.csv``: one row per layer of every policy."""

DEPLOYMENTS = (
    "run",
    "bits",
    "status",
    "diagnosis",
    "images",
    "predictions",
    "metric",
    "headline_trained",
    "headline_integer",
    "headline_onnx",
    "largest_difference",
    "onnx_difference",
    "differing",
    "onnx_differing",
    "onnx_integer_kernels",
    "onnx_float_kernels",
    "no_onnx",
    "ties",
    "images_with_ties",
    "unexplained",
    "largest_sum",
    "possible_sum",
    "code_hash",
)
"""Columns of ``deployments.csv``: one row per run that is deployed, and bit-width. ``metric`` is
the headline of the task, whose values begin with ``headline``. ``images`` are examples, each of one
or several ``predictions``. ``differing``: those that training does not share, of them ``ties``;
those of ``onnx`` are set against the integer model, and ``no_onnx`` says why there are none;
``largest_sum`` and ``possible_sum``: magnitude of integer sums, seen and at worst."""

STORAGE = ("run", *Storage.model_fields, "switch_s")
"""Columns of ``storage.csv``, bytes: ``fp32`` weights, a ``separate`` model for each bit-width, one
``file`` for all, and that in ``memory`` at each bit-width; of quantized layers and of the rest,
``embedding_and_head`` among it, of networks that read tokens. ``switch_s``: how long a switch to it
takes in memory."""

ROUNDING = ("run", *Rounding.model_fields)
"""Columns of ``rounding.csv``: sums of squares over the weights of a layer at a bit-width."""

REPEATS = ("job", "kind", "number", "device_name", "file", "line", "kept", "repeated")
"""Columns of ``repeats.csv``: one row per job that packs of several machines have with different
numbers, and file that differs: the first such line, of the attempt in the tables and of the other.
"""

TABLES = {
    "metrics": METRICS,
    "tasks": TASKS,
    "runs": RUNS,
    "methods": METHODS,
    "correct_examples": CORRECT_EXAMPLES,
    "curves": CURVES,
    "scale_gradients": SCALE_GRADIENTS,
    "sensitivities": SENSITIVITIES,
    "scores": SCORES,
    "sensitivity_uses": SENSITIVITY_USES,
    "needs": NEEDS,
    "policies": POLICIES,
    "policy_layers": POLICY_LAYERS,
    "deployments": DEPLOYMENTS,
    "storage": STORAGE,
    "rounding": ROUNDING,
    "repeats": REPEATS,
}

NUMBERS = ("seed", "search_seed", "epoch")
"""Columns of whole numbers that may be empty."""

TYPES = dict.fromkeys(NUMBERS, "Int64") | dict.fromkeys(
    (
        *("bitset", "policy", "run", "commit", "code_hash", "variant", "network"),
        *("search", "sensitivity", "budget", "diagnosis", "unit", "sliced", "job", "packed"),
        *("kept", "repeated"),
        *("energy_source", "no_energy", "instructions"),
    ),
    "str",
)
"""Columns whose type their content may not decide."""
