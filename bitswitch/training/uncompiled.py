"""Keep the compiler out of processes that compile nothing."""

from typing import Any, TypeVar

import torch
from torch.optim import Optimizer

Kind = TypeVar("Kind", bound=Optimizer)

WRAPPED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def uncompiled(kind: type[Kind]) -> type[Kind]:
    """Return ``kind`` as a class whose methods do not import the compiler.

    torch wraps the methods of optimizers to keep them out of compiled graphs. The wrappers import
    the compiler when they are first called, which takes more than a second in every process;
    this project never compiles an optimizer. Releases that wrap otherwise are merely slower.

    Args:
        kind: An optimizer of torch.
    """
    for name in WRAPPED:
        function = getattr(getattr(Optimizer, name), "__wrapped__", None)
        if function is not None:
            function.__dynamo_disable = function  # what the wrapper would make and keep here
    step: Any = getattr(kind.step, "__wrapped__", kind.step)
    return type(kind.__name__, (kind,), {"step": torch.no_grad()(step), "__module__": __name__})
