import pytest
import torch
from torch import nn

from bitswitch.bench import BENCHMARKS, hessian
from bitswitch.bench.hessian import Estimation, largest_difference, time_ratios
from bitswitch.bench.pyhessian import Probes, pyhessian_probes
from bitswitch.sensitivities.hessian.hutchinson import quadratic_forms
from bitswitch.sensitivities.hessian.trace_samples import TraceSamples


def ours(seconds=2.0):
    values = torch.tensor([[[4.0, 1.0], [6.0, 1.5]]]).double()  # means 5, 1.25; errors 1, 0.25
    return Estimation(TraceSamples(values, torch.ones(1).double()), seconds)


def theirs(probe_s=0.5):
    values = torch.tensor([[1.0, 0.0], [3.0, 1.0], [5.0, 2.0]]).double()  # variances 4, 1
    return Probes(values, probe_s)


def test_ratios_are_times_to_the_same_standard_error():
    assert time_ratios(ours(), theirs()).tolist() == pytest.approx([4 * 0.5 / 2, 16 * 0.5 / 2])


def test_differences_are_counted_in_standard_errors():
    expected = max((5 - 3) / (4 / 3 + 1) ** 0.5, (1.25 - 1) / (1 / 3 + 1 / 16) ** 0.5)
    assert largest_difference(ours(), theirs()) == pytest.approx(expected)


def test_figures_and_rows_say_what_was_measured(monkeypatch):
    monkeypatch.setattr(hessian, "_side_by_side", lambda *_: (ours(), theirs()))
    monkeypatch.setattr(hessian, "_full_size", lambda _, images: ours(float(images)))
    measured = BENCHMARKS["hessian"]()
    figures = measured.figures
    assert figures["pyhessian_over_ours_at_equal_error"] in (1.0, 4.0)
    assert figures["pyhessian_over_ours_in_the_worst_layer"] == pytest.approx(1.0)
    assert figures["pyhessian_over_ours_in_every_layer"] == pytest.approx(4.0)
    assert figures["resnet18_s"] == 16
    assert figures["resnet50_per_image_ms"] == 1000
    assert "x 20" in measured.render()


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.last(self.first(x).relu())


def test_probes_of_pyhessian_are_those_of_the_weights_alone():
    torch.manual_seed(0)
    net, x, y = Small(), torch.randn(6, 4), torch.tensor([0, 1, 0, 1, 1, 0])
    net.eval()
    torch.manual_seed(1)
    found = pyhessian_probes(net, x, y, ["first", "last"], 3)
    torch.manual_seed(1)
    weights = [net.first.weight, net.last.weight]
    signs = [[2 * torch.randint_like(w, high=2) - 1 for w in weights] for _ in range(3)]
    loss = nn.functional.cross_entropy(net(x), y)
    torch.testing.assert_close(found.values, quadratic_forms(loss, weights, signs))
    assert found.probe_s > 0
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())


@pytest.mark.slow
def test_ours_is_many_times_faster(monkeypatch):
    monkeypatch.setattr(hessian, "SIZE", 32)
    monkeypatch.setattr(hessian, "STEPS", 3)
    mine, others = hessian._side_by_side(8, 8)
    assert mine.samples.relative(mine.samples.standard_errors) <= hessian.ERROR
    assert largest_difference(mine, others) < 6
    assert time_ratios(mine, others).median() > hessian.LIMIT
