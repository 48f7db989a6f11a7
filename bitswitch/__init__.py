"""Adaptive bit switching: one network, one stored integer model, many bit-widths.

All that a program or the author of a plugin needs is here, whichever module defines it::

    import bitswitch as bs

    net = bs.create("models", "resnet20", {}).build(outputs=10, seed=0)
    model = bs.quantize(net, "double-rounding", bitset=(8, 6, 4, 2))  # to be trained
    deployed = bs.load("model.safetensors")                           # integers, to be run

Names are looked up when they are first used: importing the package loads neither torch nor
anything else that takes long.
"""

from typing import TYPE_CHECKING

from bitswitch.lazy import lazily

if TYPE_CHECKING:
    from bitswitch.contracts.card import Card, ExamplePasses, Recipe, Workload
    from bitswitch.contracts.data import Batch, Dataset, Download, Model, OpenDataset
    from bitswitch.contracts.method import (
        EarlierLogits,
        HostRequest,
        Method,
        Pass,
        PassContext,
        StepInfo,
    )
    from bitswitch.contracts.plugin import Plugin
    from bitswitch.contracts.search import (
        Candidate,
        Evaluation,
        Problem,
        Search,
        require_evaluations,
    )
    from bitswitch.contracts.sensitivity import (
        Score,
        Scores,
        ScoringInput,
        Sensitivity,
        SensitivityScores,
    )
    from bitswitch.contracts.streams import Stream
    from bitswitch.contracts.task import Evaluator, Found, Metric, Rows, Task
    from bitswitch.conversion import quantize
    from bitswitch.costs import Constraint, CostModel
    from bitswitch.deployment.loading import load
    from bitswitch.deployment.model import IntegerModel
    from bitswitch.errors import (
        ArtifactError,
        BitswitchError,
        BitWidthError,
        CalibrationError,
        CheckpointError,
        DatasetError,
        DeviceError,
        Diverged,
        EncodingError,
        InfeasibleBudgetError,
        Interrupted,
        LatencyBudgetError,
        LockError,
        PluginError,
        RanksError,
        RecordError,
        ReportError,
        RunDirectoryError,
        SpecError,
        TooFewEvaluationsError,
        UnknownPluginError,
        UnreachableBudgetError,
        WeightsError,
    )
    from bitswitch.nn.dataflow import FirstLast
    from bitswitch.nn.layers import QuantizedLayer
    from bitswitch.nn.losses import distilled, soft_cross_entropy
    from bitswitch.nn.model import QuantizedModel
    from bitswitch.nn.norms.shared import SharedBatchNorm
    from bitswitch.nn.norms.switchable import SwitchableBatchNorm
    from bitswitch.nn.policy import random_policy
    from bitswitch.plugins.registry import create
    from bitswitch.quant.granularity import (
        PER_TENSOR,
        ActivationGranularity,
        Granularity,
        PerChannel,
        PerGroup,
        PerTensor,
        PerToken,
        WeightGranularity,
    )
    from bitswitch.quant.grid import at_least_float32, clip, grid_codes, integers
    from bitswitch.quant.lsq import ActivationQuantizer, WeightQuantizer
    from bitswitch.quant.per_bit import PerBit, Switchable
    from bitswitch.quant.quantizer import Codes, Number, Quantizer, Width
    from bitswitch.quant.scale import Scale
    from bitswitch.quant.ste import on_grid
    from bitswitch.spec.run import RunSpec
    from bitswitch.spec.training import TrainingSpec
    from bitswitch.tasks.classification import Classification
    from bitswitch.types import (
        FLOAT_BITS,
        MAX_BITS,
        MIN_BITS,
        BitSet,
        LayerBits,
        Policy,
        Strict,
        format_bitset,
    )

__all__ = [
    "FLOAT_BITS",
    "MAX_BITS",
    "MIN_BITS",
    "PER_TENSOR",
    "ActivationGranularity",
    "ActivationQuantizer",
    "ArtifactError",
    "Batch",
    "BitSet",
    "BitWidthError",
    "BitswitchError",
    "CalibrationError",
    "Candidate",
    "Card",
    "CheckpointError",
    "Classification",
    "Codes",
    "Constraint",
    "CostModel",
    "Dataset",
    "DatasetError",
    "DeviceError",
    "Diverged",
    "Download",
    "EarlierLogits",
    "EncodingError",
    "Evaluation",
    "Evaluator",
    "ExamplePasses",
    "FirstLast",
    "Found",
    "Granularity",
    "HostRequest",
    "InfeasibleBudgetError",
    "IntegerModel",
    "Interrupted",
    "LatencyBudgetError",
    "LayerBits",
    "LockError",
    "Method",
    "Metric",
    "Model",
    "Number",
    "OpenDataset",
    "Pass",
    "PassContext",
    "PerBit",
    "PerChannel",
    "PerGroup",
    "PerTensor",
    "PerToken",
    "Plugin",
    "PluginError",
    "Policy",
    "Problem",
    "QuantizedLayer",
    "QuantizedModel",
    "Quantizer",
    "RanksError",
    "Recipe",
    "RecordError",
    "ReportError",
    "Rows",
    "RunDirectoryError",
    "RunSpec",
    "Scale",
    "Score",
    "Scores",
    "ScoringInput",
    "Search",
    "Sensitivity",
    "SensitivityScores",
    "SharedBatchNorm",
    "SpecError",
    "StepInfo",
    "Stream",
    "Strict",
    "Switchable",
    "SwitchableBatchNorm",
    "Task",
    "TooFewEvaluationsError",
    "TrainingSpec",
    "UnknownPluginError",
    "UnreachableBudgetError",
    "WeightGranularity",
    "WeightQuantizer",
    "WeightsError",
    "Width",
    "Workload",
    "at_least_float32",
    "clip",
    "create",
    "distilled",
    "format_bitset",
    "grid_codes",
    "integers",
    "load",
    "on_grid",
    "quantize",
    "random_policy",
    "require_evaluations",
    "soft_cross_entropy",
]

_MODULES = {
    "contracts.card": "Card ExamplePasses Recipe Workload",
    "contracts.data": "Batch Dataset Download Model OpenDataset",
    "contracts.method": "EarlierLogits HostRequest Method Pass PassContext StepInfo",
    "contracts.plugin": "Plugin",
    "contracts.search": "Candidate Evaluation Problem Search require_evaluations",
    "contracts.sensitivity": "Score Scores ScoringInput Sensitivity SensitivityScores",
    "contracts.streams": "Stream",
    "contracts.task": "Evaluator Found Metric Rows Task",
    "conversion": "quantize",
    "costs": "Constraint CostModel",
    "deployment.loading": "load",
    "deployment.model": "IntegerModel",
    "errors": (
        "ArtifactError BitswitchError BitWidthError CalibrationError CheckpointError "
        "DatasetError DeviceError Diverged EncodingError InfeasibleBudgetError Interrupted "
        "LatencyBudgetError LockError PluginError RanksError RecordError ReportError "
        "RunDirectoryError SpecError TooFewEvaluationsError UnknownPluginError "
        "UnreachableBudgetError WeightsError"
    ),
    "nn.dataflow": "FirstLast",
    "nn.layers": "QuantizedLayer",
    "nn.losses": "distilled soft_cross_entropy",
    "nn.model": "QuantizedModel",
    "nn.norms.shared": "SharedBatchNorm",
    "nn.norms.switchable": "SwitchableBatchNorm",
    "nn.policy": "random_policy",
    "plugins.registry": "create",
    "quant.granularity": (
        "PER_TENSOR ActivationGranularity Granularity PerChannel PerGroup PerTensor PerToken "
        "WeightGranularity"
    ),
    "quant.grid": "at_least_float32 clip grid_codes integers",
    "quant.lsq": "ActivationQuantizer WeightQuantizer",
    "quant.per_bit": "PerBit Switchable",
    "quant.quantizer": "Codes Number Quantizer Width",
    "quant.scale": "Scale",
    "quant.ste": "on_grid",
    "spec.run": "RunSpec",
    "spec.training": "TrainingSpec",
    "tasks.classification": "Classification",
    "types": "FLOAT_BITS MAX_BITS MIN_BITS BitSet LayerBits Policy Strict format_bitset",
}
"""Where each name is defined; no name is that of a module beside this one, which would hide it."""

if not TYPE_CHECKING:  # with them, type checkers would take every name for granted
    __getattr__, __dir__ = lazily(__name__, _MODULES)
