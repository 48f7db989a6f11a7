import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bitswitch.errors import SpecError
from bitswitch.sensitivities.hessian.gauss_newton import GaussNewton, output_gradients
from bitswitch.sensitivities.hessian.orthogonal_signs import OrthogonalSigns

PLACE = torch.Generator().manual_seed(0)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-30, 30), min_size=2, max_size=6))
def test_output_gradients_have_the_covariance_of_a_draw_of_classes(logits):
    logits = torch.tensor([logits], dtype=torch.float64)
    signs = OrthogonalSigns.draw(1, logits.shape[1], PLACE)
    rows = [output_gradients(logits, signs.vectors(k))[0] for k in range(signs.order.shape[1])]
    found = sum(torch.outer(row, row) for row in rows) / len(rows)
    p = logits[0].softmax(0)
    torch.testing.assert_close(found, torch.diag(p) - torch.outer(p, p), rtol=0, atol=1e-14)


def branches():
    """A network that overwrites outputs, and has two layers that nothing comes before."""

    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
            self.relu, self.last = nn.ReLU(inplace=True), nn.Linear(4, 5)

        def forward(self, x):
            both = self.relu(self.left(x)) + self.relu(self.right(x))
            return self.last(both.mean((2, 3)))

    torch.manual_seed(0)
    return Branches().double().eval().requires_grad_(False)


@pytest.fixture
def drawn():
    model = branches()
    layers = {name: model.get_submodule(name) for name in ("left", "right", "last")}
    images = torch.randn(3, 3, 6, 6, dtype=torch.float64, generator=PLACE)
    source = GaussNewton(model, layers)
    return model, images, source, source.draw(images, images, range(8), 0)


def test_all_samples_of_an_image_average_to_its_exact_trace(drawn):
    model, images, source, samples = drawn
    assert samples.shape == (3, 8, 3)
    assert source.population == 8
    for image, found in zip(images, samples.mean(1), strict=True):
        p = model(image[None])[0].softmax(0)
        for place, layer in enumerate((model.left, model.right, model.last)):
            jacobian = torch.autograd.functional.jacobian(
                lambda w, layer=layer, image=image: torch.func.functional_call(
                    model, {f"{_name(model, layer)}.weight": w}, (image[None],)
                )[0],
                layer.weight,
            ).flatten(1)
            exact = (jacobian.T @ (torch.diag(p) - torch.outer(p, p)) @ jacobian).trace()
            torch.testing.assert_close(found[place], exact, rtol=1e-10, atol=0)


def _name(model, layer):
    return next(name for name, module in model.named_modules() if module is layer)


def test_probes_are_the_same_in_whatever_order_they_are_drawn(drawn):
    _, images, source, samples = drawn
    assert torch.equal(source.draw(images, images, range(3, 5), 0), samples[:, 3:5])
    assert not torch.equal(source.draw(images, images, range(3, 5), 1), samples[:, 3:5])


def test_layers_that_mix_images_are_named():
    layers = {"1": nn.Linear(3, 2)}
    model = nn.Sequential(nn.Flatten(0, 2), layers["1"], nn.Unflatten(0, (4, -1)), nn.Flatten())
    images = torch.randn(4, 2, 2, 3)
    with pytest.raises(SpecError, match=r"of 4 images, layer '1' .* \(16, 2\)"):
        GaussNewton(model.requires_grad_(False), layers).draw(images, images, range(2), 0)


def test_samples_for_inputs_average_to_the_exact_trace_of_each_layer(drawn):
    model, images, *_ = drawn

    def end(both):
        return model.last(both.mean((2, 3)))

    layers = {name: model.get_submodule(name) for name in ("left", "right", "last")}
    samples = GaussNewton(model, layers, "activation").draw(images, images, range(8), 0)
    assert samples.shape == (3, 8, 3)
    for image, found in zip(images, samples.mean(1), strict=True):
        left, right = model.left(image[None]).relu(), model.right(image[None]).relu()
        # Two layers read the image: each is on its own, as if the other one's copy stood still.
        readers = {
            "left": (image[None], lambda x, r=right: end(model.left(x).relu() + r)),
            "right": (image[None], lambda x, f=left: end(f + model.right(x).relu())),
            "last": ((left + right).mean((2, 3)), model.last),
        }
        p = model(image[None])[0].softmax(0)
        for place, (read, rest) in enumerate(readers.values()):
            jacobian = torch.autograd.functional.jacobian(lambda x, rest=rest: rest(x)[0], read)
            jacobian = jacobian.flatten(1)
            exact = (jacobian.T @ (torch.diag(p) - torch.outer(p, p)) @ jacobian).trace()
            torch.testing.assert_close(found[place], exact, rtol=1e-10, atol=0)


def test_inputs_that_images_do_not_make_up_are_named():
    layers = {"1": nn.Linear(3, 2)}
    model = nn.Sequential(nn.ZeroPad2d((0, 0, 0, 1)), layers["1"]).requires_grad_(False)
    images = torch.randn(3, 3)
    with pytest.raises(SpecError, match=r"of 3 images, layer '1' reads .* \(4, 3\)"):
        GaussNewton(model, layers, "activation").draw(images, images, range(2), 0)


def test_rows_that_are_not_those_of_images_are_refused():
    net = nn.Sequential(nn.Linear(4, 6), nn.Unflatten(1, (2, 3))).eval().requires_grad_(False)
    images = torch.ones(5, 4)
    with pytest.raises(SpecError, match=r"rows of logits for every image; 5 .*\(5, 2, 3\)"):
        GaussNewton(net, {"0": net[0]}).draw(images, images, range(1), 0)
    source = GaussNewton(net, {"0": net[0]}, rows=lambda outputs: outputs[:, 1])
    plain = nn.Sequential(nn.Linear(4, 3)).eval().requires_grad_(False)
    plain[0].load_state_dict({name: value[3:] for name, value in net[0].state_dict().items()})
    expected = GaussNewton(plain, {"0": plain[0]}).draw(images, images, range(2), 0)
    torch.testing.assert_close(source.draw(images, images, range(2), 0), expected)


def test_a_window_adds_up_the_traces_of_its_tokens_that_count():
    """Layers that do not mix tokens: each is an image of its own."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).double().eval()
    net.requires_grad_(False)
    layers = {"0": net[0], "2": net[2]}
    windows = torch.randn(2, 5, 4, dtype=torch.float64)
    targets = torch.tensor([[1, 2, 0, -100, -100], [0, 0, 1, 1, 2]])
    source = GaussNewton(net, layers, rows=lambda outputs: outputs.flatten(0, 1))
    found = source.draw(windows, targets, range(1000), 0)
    assert found.shape == (2, 1000, 2)
    assert source.population == torch.inf
    each = GaussNewton(net, layers).draw(windows.flatten(0, 1), targets, range(4), 0).mean(1)
    exact = torch.stack([each[:3].mean(0), each[5:].mean(0)])
    off = (found.mean(1) - exact) / (found.std(1) / 1000**0.5)
    assert off.abs().max() < 4
