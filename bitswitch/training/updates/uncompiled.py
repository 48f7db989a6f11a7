"""Keep the compiler out of processes that compile nothing."""

from inspect import unwrap
from typing import Any, TypeVar

import torch
from torch.optim import Optimizer

Kind = TypeVar("Kind", bound=Optimizer)

WRAPPED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def uncompiled(kind: type[Kind]) -> type[Kind]:
    """Return ``kind`` as a class whose methods do not import the compiler.

    torch wraps the methods of optimizers to keep them out of compiled graphs. The wrappers import
    the compiler when they are first called, which takes more than a second in a process that does
    not have it; this project never compiles an optimizer. Releases that wrap otherwise are merely
    slower.

    Args:
        kind: An optimizer of torch.
    """
    plain: dict[str, Any] = {name: unwrap(getattr(kind, name)) for name in WRAPPED}
    plain["step"] = torch.no_grad()(unwrap(kind.step))
    return type(kind.__name__, (kind,), {**plain, "__module__": __name__})
