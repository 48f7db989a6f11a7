import pytest
import torch
from torch import nn

from bitswitch.conversion import quantize
from bitswitch.errors import SpecError
from bitswitch.methods.gptq.calibration import (
    blocks_of,
    columns_of,
    fit_in_order,
    moments,
    stages,
)
from bitswitch.nn.dataflow import NO_ENDS
from bitswitch.testing.subject import Subject, batches


class Attention(nn.Module):
    """Three layers that read one tensor, and one that reads what they make."""

    def __init__(self):
        super().__init__()
        self.out, self.q, self.k, self.v = (nn.Linear(6, 6) for _ in range(4))

    def forward(self, x):
        return self.out(self.q(x) * self.k(x) + self.v(x))


@pytest.fixture
def model():
    torch.manual_seed(0)
    net = nn.Sequential(Attention(), Attention())
    return quantize(net, "rtn", bitset=(4, 2), ends=NO_ENDS, example=torch.randn(2, 5, 6)).eval()


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 6, 3, padding=1),
        nn.Conv2d(4, 6, (3, 2), stride=2, dilation=(1, 2), groups=2, bias=False),
        nn.Conv2d(4, 4, 3, padding="same", groups=4, padding_mode="circular"),
    ],
)
def test_columns_times_weights_are_the_convolution(conv):
    x = torch.randn(3, 4, 9, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        output = conv(x) if conv.bias is None else conv(x) - conv.bias.view(-1, 1, 1)
        product = columns_of(conv, x) @ blocks_of(conv, conv.weight).mT
    by_position = product.unflatten(1, (3, -1)).permute(1, 0, 3, 2)
    torch.testing.assert_close(by_position.reshape(output.shape), output, rtol=1e-4, atol=1e-5)


def test_layers_that_read_one_tensor_come_together(model):
    with model.at(4):
        found = stages(model, torch.randn(2, 5, 6))
    assert found == [["0.q", "0.k", "0.v"], ["0.out"], ["1.q", "1.k", "1.v"], ["1.out"]]


def test_moments_are_sums_over_all_inputs(model):
    inputs = [torch.randn(2, 5, 6), torch.randn(1, 5, 6)]
    seen = []
    model.layers["0.out"].register_forward_pre_hook(lambda _, x: seen.append(x[0].detach()))
    with model.at(4):
        found = moments(model, ["0.out"], inputs)["0.out"]
    x = torch.cat([part.flatten(0, 1) for part in seen])
    torch.testing.assert_close(found.total[0], x.T @ x)
    torch.testing.assert_close(found.hessian[0], 2 * x.T @ x / 3)


def test_later_layers_see_what_fitting_made_of_earlier_ones(model):
    met = []

    def fit(layer, hessian):
        met.append(float(hessian.sum()))
        layer.weight.data.zero_()

    with model.at(4):
        fit_in_order(model, [torch.randn(2, 5, 6)], fit)
    assert len(met) == 8
    first = model.net[0]
    constant = first.q.bias * first.k.bias + first.v.bias  # all that is left of each token
    assert met[3] == pytest.approx(2 * 10 / 2 * constant.sum().item() ** 2, rel=1e-4)
    assert met[0] == met[1] == met[2] > 0


@pytest.mark.parametrize(("method", "widths"), [("gptq", (2,)), ("matgptq", (8, 4, 2))])
def test_outputs_are_nearer_than_those_of_nearest(method, widths):
    """On the inputs of the first layer: at one bit-width, or on the mean over those of one code."""
    options = {"grid": "full-range", "weight_granularity": "per-channel"}
    subject = Subject.of(method, options, (8, 4, 2))
    fixed, start = subject.deployed, subject.train_state().model.eval()
    name = next(iter(fixed.layers))
    with fixed.at(8):
        hessian = moments(fixed, [name], [batch.inputs for batch in batches()])[name].hessian
    errors = []
    for model in (fixed, start):
        layer, found = model.layers[name], []
        for bits in widths:
            with model.at(bits), torch.no_grad():
                found.append(layer.weight_quantizer(layer.weight, layer.weight_switch.width))
        rows = blocks_of(layer, torch.stack(found).mean(0) - layer.weight)
        errors.append(float(((rows @ hessian) * rows).sum()))
    assert errors[0] < 0.9 * errors[1]


def test_groups_are_not_torn_apart():
    with pytest.raises(SpecError, match="tears groups apart"):
        quantize(
            nn.Sequential(nn.Linear(8, 8)),
            "gptq",
            bitset=(4,),
            falling_order=True,
            weight_granularity="per-group-4",
        )
