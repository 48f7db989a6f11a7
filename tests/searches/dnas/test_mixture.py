import pytest
import torch
from torch.nn.functional import cross_entropy

from bitswitch.conversion import quantize
from bitswitch.searches.dnas.mixture import MixedLayer, Mixture
from tests.nn.small_network import BITSET, double_rounding, float_net

TEMPERATURE = 2.0


@pytest.fixture
def images():
    return torch.randn(6, 3, 12, 12, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def model(images):
    quantized = quantize(float_net(), double_rounding())
    quantized.calibrate([images])
    return quantized.eval()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def one_hot(mixture, policy):
    """Return gates that are 1 at the bit-widths of ``policy``."""
    gates = torch.zeros(mixture.logits.shape)
    for row, pair in zip(gates, policy.values(), strict=True):
        for operand, bits in zip(row, pair, strict=False):
            operand[BITSET.index(bits)] = 1
    return gates


def policy_of(model, pairs):
    return dict(zip(model.layers, pairs, strict=True))


TIED = [(2, 2), (8, 8), (4, 4)]
UNTIED = [(2, 8), (8, 4), (4, 2)]


@pytest.mark.parametrize("kind", ["soft", "hard"])
@pytest.mark.parametrize("tied", [True, False])
def test_gates_of_one_and_zero_are_a_policy(model, images, kind, tied):
    mixture = Mixture(model, BITSET, tied, kind).eval()
    policy = policy_of(model, TIED if tied else UNTIED)
    # Soft mixtures keep the batch norms of the widest bit-width; here all are copies of one.
    with torch.no_grad(), model.at(policy):
        expected = model(images)
    found = mixture(images, one_hot(mixture, policy))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def layer_and_input(model):
    layer = model.layers["3"]
    x = torch.randn(2, 8, 5, 5, generator=generator(3)).relu()
    return layer, x


def at(layer, x, weight, activation):
    layer.switch(weight, activation)
    return layer(x).detach()


def test_tied_gates_weigh_the_outputs_at_each_bit_width(model):
    layer, x = layer_and_input(model)
    mixed = MixedLayer(layer, BITSET, "soft")
    mixed.gates = torch.tensor([[0.5, 0.3, 0.2]])
    expected = sum(g * at(layer, x, b, b) for g, b in zip([0.5, 0.3, 0.2], BITSET, strict=True))
    torch.testing.assert_close(mixed(x), expected, rtol=1e-4, atol=1e-6)


def test_separate_gates_weigh_the_outputs_of_all_pairs(model):
    layer, x = layer_and_input(model)
    mixed = MixedLayer(layer, BITSET, "soft")
    mixed.gates = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    expected = sum(
        mixed.gates[0, i] * mixed.gates[1, j] * at(layer, x, w, a)
        for i, w in enumerate(BITSET)
        for j, a in enumerate(BITSET)
    )
    torch.testing.assert_close(mixed(x), expected, rtol=1e-4, atol=1e-6)


def test_soft_gradients_of_gates_are_the_outputs_they_weigh(model):
    layer, x = layer_and_input(model)
    mixed = MixedLayer(layer, BITSET, "soft")
    mixed.gates = torch.tensor([[0.5, 0.3, 0.2]], requires_grad=True)
    (found,) = torch.autograd.grad(mixed(x).sum(), [mixed.gates])
    expected = torch.stack([at(layer, x, bits, bits).sum() for bits in BITSET])
    torch.testing.assert_close(found[0], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("operands", [1, 2])
def test_a_hard_gate_leaves_the_output_and_takes_its_gradient(model, operands):
    layer, x = layer_and_input(model)
    mixed = MixedLayer(layer, BITSET, "hard")
    gates = torch.tensor([[0.2, 0.5, 0.3]] * operands, requires_grad=True)
    mixed.gates = gates
    plain = at(layer, x, 4, 4)
    output = mixed(x)
    torch.testing.assert_close(output.detach(), plain)
    (found,) = torch.autograd.grad(output.sum(), [gates])
    torch.testing.assert_close(found, torch.tensor([[0, plain.sum(), 0]] * operands))


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_the_network_given_stays_as_it_was(model, images, kind):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    mixture = Mixture(model, BITSET, True, kind).train()
    optimizer = torch.optim.SGD([*mixture.trained, mixture.logits], lr=0.1)
    gates = mixture.draw(TEMPERATURE, generator())
    cross_entropy(mixture(images, gates), torch.arange(6) % 5).backward()
    assert all(p.grad is None for p in model.parameters())
    assert mixture.logits.grad.abs().sum() > 0
    optimizer.step()
    after = model.state_dict()
    assert all(torch.equal(v, after[name]) for name, v in before.items() if torch.is_tensor(v))
    assert not any(isinstance(part, MixedLayer) for part in model.modules())


def test_weights_are_trained_and_scales_are_not(model, images):
    mixture = Mixture(model, BITSET, False)
    trained = {id(parameter) for parameter in mixture.trained}
    assert all(id(scale) not in trained for scale in mixture.model.scale_parameters().values())
    assert all(id(layer.layer.weight) in trained for layer in mixture.mixed.values())


def test_gates_are_drawn_as_often_as_their_probabilities_say(model):
    """The largest gate of a Gumbel-softmax has the distribution of softmax(theta)."""
    mixture, draw = Mixture(model, BITSET, True), generator()
    theta = torch.tensor([1.0, 0.0, -1.0])
    with torch.no_grad():
        mixture.logits.copy_(theta.expand_as(mixture.logits))
        drawn = torch.stack([mixture.draw(TEMPERATURE, draw) for _ in range(2000)])
    torch.testing.assert_close(drawn.sum(-1), torch.ones(drawn.shape[:-1]))
    shares = torch.nn.functional.one_hot(drawn.argmax(-1), 3).double().mean((0, 1, 2))
    torch.testing.assert_close(shares, torch.softmax(theta.double(), 0), rtol=0, atol=0.03)
    probabilities = mixture.probabilities().detach().double().mean((0, 1))
    torch.testing.assert_close(shares, probabilities, rtol=0, atol=0.03)


def test_low_temperatures_bring_gates_close_to_one(model):
    mixture = Mixture(model, BITSET, True)
    hot, cold = (mixture.draw(t, generator()).amax(-1).mean() for t in (5.0, 0.05))
    assert hot < 0.6
    assert cold > 0.9


@pytest.mark.parametrize("tied", [True, False])
def test_probabilities_of_bit_widths_are_those_of_their_operands(model, tied):
    mixture = Mixture(model, BITSET, tied)
    with torch.no_grad():
        mixture.logits.copy_(torch.randn(mixture.logits.shape, generator=generator()))
    found = mixture.log_probabilities()
    assert list(found) == list(model.layers)
    for own, theta in zip(found.values(), mixture.logits.detach(), strict=True):
        expected = torch.log(theta.exp() / theta.exp().sum(-1, keepdim=True))
        torch.testing.assert_close(own[: len(expected)], expected)
        if tied:
            assert not own[1].any()
