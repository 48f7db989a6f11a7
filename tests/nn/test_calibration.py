import torch
from torch import nn

from bitswitch.nn.calibration import Observed, observe_inputs


def test_extremes_are_never_missed():
    observed = Observed()
    x = torch.rand(300_000)
    x[1], x[-2] = -4, 9
    observed.add(x)
    observed.add(torch.rand(3))
    values = observed.values()
    assert (values.min(), values.max()) == (-4, 9)
    assert len(values) < 100_000


def test_a_layer_that_saw_nothing_has_a_zero():
    assert Observed().values().tolist() == [0]


def test_inputs_are_watched_only_inside_the_block():
    layer = nn.Linear(2, 2)
    with observe_inputs({"layer": layer}) as observed:
        layer(torch.tensor([[1.0, 2.0]]))
    layer(torch.tensor([[7.0, 7.0]]))
    assert observed["layer"].values().tolist() == [1, 2, 1, 2]
