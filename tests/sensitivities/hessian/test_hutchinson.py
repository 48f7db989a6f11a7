import torch
from torch import nn

from bitswitch.sensitivities.hessian.hutchinson import Hutchinson, quadratic_forms


def test_forms_of_a_quadratic_are_its_own():
    matrix = torch.tensor([[2.0, 1.0, 0.5], [1.0, 3.0, -1.0], [0.5, -1.0, 4.0]])
    first, second = (
        torch.tensor([1.0, 2.0], requires_grad=True),
        torch.tensor([3.0]).requires_grad_(),
    )
    point = torch.cat([first, second])
    loss = 0.5 * point @ matrix @ point
    probes = [(torch.tensor([1.0, -1.0]), torch.tensor([1.0]))]
    found = quadratic_forms(loss, [first, second], probes)
    # v = (1, -1, 1): Hv = (1.5, -3, 5.5), so the parts are 1.5 + 3 and 5.5
    assert found.tolist() == [[4.5, 5.5]]
    assert found.dtype == torch.float64


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.MultiheadAttention(8, 2, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.inner(x, x, x, need_weights=False)[0].mean(1))


def test_attention_has_second_derivatives():
    torch.manual_seed(0)
    model = Attention().eval()
    weights = [model.inner.in_proj_weight, model.out.weight]
    x, y = torch.randn(4, 5, 8), torch.tensor([0, 1, 2, 0])
    samples = Hutchinson(model, weights).draw(x, y, range(3), 0)
    assert samples.shape == (1, 3, 2)
    assert samples.isfinite().all()


def test_every_probe_has_signs_of_its_own():
    torch.manual_seed(0)
    model = nn.Linear(6, 4)
    x, y = torch.randn(5, 6), torch.tensor([0, 1, 2, 3, 0])
    source = Hutchinson(model, [model.weight])
    samples = source.draw(x, y, range(6), 0)[0, :, 0]
    assert len(samples.unique()) > 3
    assert torch.equal(source.draw(x, y, range(4, 6), 0)[0, :, 0], samples[4:])
    assert not torch.equal(source.draw(x, y, range(6), 1)[0, :, 0], samples)
