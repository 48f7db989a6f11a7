import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam

from bitswitch.training.updates.uncompiled import uncompiled

SCRIPT = """
import sys
import torch
from torch.optim import Adam
from bitswitch.training.updates.uncompiled import uncompiled

parameter = torch.nn.Parameter(torch.ones(3))
optimizer = uncompiled(Adam)([parameter], lr=0.1, fused=True)
parameter.sum().backward()
optimizer.step()
optimizer.zero_grad()
optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules)
"""


def test_stepping_does_not_import_the_compiler():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize(
    ("kind", "options"),
    [(Adam, {"fused": True}), (SGD, {"momentum": 0.9, "nesterov": True, "foreach": True})],
)
def test_it_steps_as_the_original_does(kind, options):
    results = []
    for made in (kind, uncompiled(kind)):
        parameter = nn.Parameter(torch.linspace(-1, 1, 7))
        optimizer = made([parameter], lr=0.1, **options)
        for _ in range(3):
            parameter.pow(2).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        results.append((parameter.detach(), optimizer.state_dict()["state"][0]))
    (first, state), (second, other) = results
    assert torch.equal(first, second)
    assert all(torch.equal(torch.as_tensor(v), torch.as_tensor(other[k])) for k, v in state.items())


def test_it_keeps_its_name():
    assert uncompiled(Adam).__name__ == "Adam"
    assert issubclass(uncompiled(Adam), Adam)
