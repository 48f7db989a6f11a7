import pytest
import torch
from torch import nn

from bitswitch.deployment.description import Description
from bitswitch.deployment.skeleton import Skeleton, build

from . import exported


@pytest.fixture(scope="module")
def facts():
    run = exported.run_of()
    return exported.artifact(exported.quantized(run), run).facts


def test_it_takes_no_memory_and_knows_its_tensors(facts):
    skeleton = Skeleton.of(facts)
    assert all(t.is_meta for t in skeleton.net.state_dict().values())
    assert set(skeleton.layers) == {layer.name for layer in facts.layers}
    assert set(skeleton.floats) == {"conv1.weight", "fc.weight", "fc.bias"}


def test_very_large_networks_take_none_either(facts):
    large = facts.model_copy(update={"classes": 10**9})
    assert Skeleton.of(large).floats["fc.weight"][1] == (10**9, 64)


def test_pretrained_weights_are_not_fetched(facts, monkeypatch):
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", None)
    model = {"name": "mobilenetv2", "options": {"weights": "imagenet"}}
    changed = facts.model_dump() | {"model": model}
    with torch.device("meta"):
        assert isinstance(build(Description.model_validate(changed)), nn.Module)


class Halving(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("factor", torch.tensor(0.5), persistent=False)
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(x) * self.factor


def test_tensors_that_no_file_has_are_computed_again(facts, monkeypatch):
    monkeypatch.setattr("bitswitch.deployment.skeleton.build", lambda facts: Halving())
    bare = facts.model_copy(update={"layers": (), "norms": ()})
    skeleton = Skeleton.of(bare)
    state = {"fc.weight": torch.ones(2, 4), "fc.bias": torch.zeros(2)}
    skeleton.check(state)
    skeleton.net.load_state_dict(state, strict=False, assign=True)
    skeleton.restore_unsaved()
    assert skeleton.net(torch.ones(1, 4)).tolist() == [[2, 2]]


class Rooted(Halving):
    """Computes a table from a weight, which is no table of positions."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.empty(2, 2))
        self.table.data = torch.full((2, 2), 3.0)
        self.register_buffer("root", (self.table.data + torch.eye(2)).sqrt(), persistent=False)


class Filled(Halving):
    """Makes a table empty, and fills it."""

    def __init__(self):
        super().__init__()
        self.register_buffer("filled", torch.empty(3).fill_(2), persistent=False)


@pytest.mark.parametrize(
    ("net", "weights"), [(Halving, True), (Rooted, False), (Filled, False)], ids=str
)
def test_weights_get_memory_only_where_a_table_needs_them(facts, monkeypatch, net, weights):
    made = []

    def build(facts):
        try:
            made.append(net())
        except RuntimeError as error:
            raise ValueError from error
        return made[-1]

    monkeypatch.setattr("bitswitch.deployment.skeleton.build", build)
    skeleton = Skeleton.of(facts.model_copy(update={"layers": (), "norms": ()}))
    skeleton.net.load_state_dict(
        {name: torch.ones(form[1]) for name, form in skeleton.floats.items()}, assign=True
    )
    skeleton.restore_unsaved()
    assert made[-1].fc.weight.is_meta == weights
    for name, value in net().named_buffers():
        assert torch.equal(dict(skeleton.net.named_buffers())[name], value)
