import subprocess
import sys

import torch
from torch import nn

from bitswitch.nn.unfilled import Unfilled

SCRIPT = """
import sys
import torch
from bitswitch.models.cifar_resnet import ResNet8
from bitswitch.nn.unfilled import Unfilled

with torch.device("meta"), Unfilled():
    net = ResNet8(ResNet8.Options()).build(10, 0)
print(net.conv1.weight.is_meta, "torch._dynamo" in sys.modules)
"""


def test_building_does_not_import_the_compiler():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.stdout.strip() == "True False", done.stderr


def test_tensors_with_memory_are_filled_as_ever():
    torch.manual_seed(0)
    expected = torch.randn(3)
    torch.manual_seed(0)
    with Unfilled():
        found = torch.empty(3).normal_()
        weight = nn.init.normal_(torch.empty(5, device="meta"))
    assert torch.equal(found, expected)
    assert weight.shape == (5,)
