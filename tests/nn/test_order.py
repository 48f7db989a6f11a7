import copy

import pytest
from torch import nn
from torch.nn import functional

from bitswitch.conversion import quantize
from bitswitch.errors import BitWidthError
from bitswitch.methods.rfquant.rfquant import RFQuant
from bitswitch.nn.dataflow import FirstLast
from bitswitch.nn.norms.pairs import BatchNormGrid
from bitswitch.nn.order import Followed, by_names
from bitswitch.plugins import registry

BITSET = (8, 4, 2)


class Jumbled(nn.Module):
    """Registered in another order than it runs; two branches run side by side."""

    def __init__(self):
        super().__init__()
        self.last_norm, self.norm_b, self.norm_a = (nn.BatchNorm2d(4) for _ in range(3))
        self.last, self.branch_b, self.branch_a = (nn.Conv2d(4, 4, 1) for _ in range(3))
        self.middle = nn.Conv2d(4, 4, 1)
        self.stem_norm = nn.BatchNorm2d(4)
        self.stem = nn.Conv2d(3, 4, 1)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = functional.relu(self.stem_norm(self.stem(x)))
        a, b = self.branch_a(x), self.branch_b(x)
        x = functional.relu(self.norm_a(a) + self.norm_b(b))
        x = self.last_norm(self.last(self.middle(x)) + x)
        return self.head(x.mean((2, 3)))


BY_FLOW = {
    "stem_norm": (None, None),
    "norm_a": ("branch_a", None),
    "norm_b": ("branch_b", "branch_a"),
    "last_norm": ("last", "middle"),
}


def followed(net=None, method="double-rounding", **options):
    options = {"example": (3, 8, 8), **options}
    return quantize(net or Jumbled(), method, bitset=BITSET, **options).followed


def test_a_norm_follows_the_layers_that_its_input_comes_from():
    assert followed() == BY_FLOW


def test_layers_that_are_not_switchable_are_passed_over():
    found = followed(keep=["last", "branch_b"])
    assert found["last_norm"] == ("middle", "branch_a")
    assert found["norm_b"] == (None, None)
    assert followed(keep=["last", "branch_b", "middle"])["last_norm"] == ("branch_a", None)


def test_norms_are_switched_by_what_they_follow():
    model = quantize(Jumbled(), "double-rounding", bitset=BITSET, example=(3, 8, 8))
    model.switch({"branch_a": 8, "branch_b": 4, "middle": 8, "last": 2})
    names = ("norm_a", "norm_b", "last_norm")
    assert [model.net.get_submodule(name).copy for name in names] == [8, 4, 2]


def test_a_stated_order_counts_instead():
    order = ["stem", "last", "norm_a", "branch_a", "middle", "norm_b", "branch_b", "last_norm"]
    found = followed(order=order)
    assert found["norm_a"] == ("last", None)
    assert found["norm_b"] == ("middle", "branch_a")
    assert found["stem_norm"] == ("middle", "branch_a")  # it is not in there: as registered


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"norm_c": "norm_a"}, "names 'norm_c': the network has no such layer or batch norm"),
        ({"norm_a": "branch_a"}, r"leaves out layer 'branch_a' \(1 of 4 missing\)"),
    ],
)
def test_an_order_that_does_not_fit_is_an_error(change, said):
    order = ["last", "norm_a", "branch_a", "middle", "branch_b"]
    for name, replaced in change.items():
        order[order.index(replaced)] = name
    with pytest.raises(BitWidthError, match=said):
        followed(order=order)


def test_where_nothing_fits_registration_is_the_last_resort():
    class Picky(Jumbled):
        def forward(self, x):
            assert len(x) > 2
            return super().forward(x)

    found = followed(Picky(), example=None, ends=FirstLast(("stem",), ("head",)))
    names = [name for name, _ in Jumbled().named_modules()]
    usual = by_names(names, {"last", "branch_a", "branch_b", "middle"})
    assert found == {name: usual[name] for name in BY_FLOW}
    assert found["last_norm"] == (None, None)


def test_a_copy_keeps_the_order():
    model = quantize(Jumbled(), "double-rounding", bitset=BITSET, example=(3, 8, 8))
    assert copy.deepcopy(model).followed == BY_FLOW


def test_a_method_asks_the_model_which_layer_is_before():
    method = RFQuant(RFQuant.Options(), BITSET)
    model = quantize(Jumbled(), method, example=(3, 8, 8))
    method.on_quantized(model, 2)
    alone = {n: m.alone for n, m in model.net.named_modules() if isinstance(m, BatchNormGrid)}
    assert alone == {name: layer is None for name, (layer, _) in BY_FLOW.items()}


ZOO = {
    "pre-activation": ("resnet8", {}),
    "original": ("resnet8", {"form": "original"}),
    "downsampling": ("resnet18", {"weights": "none"}),
    "depthwise": ("mobilenetv2", {"weights": "none"}),
}


@pytest.mark.parametrize("method", ["double-rounding", "mbquant"])
@pytest.mark.parametrize("network", ZOO)
def test_in_known_networks_it_is_the_order_of_registration(network, method):
    name, options = ZOO[network]
    plugin = registry.create("models", name, options)
    net = plugin.build(10, 0)
    bitset = (4, 2)
    order = plugin.order(net)
    model = quantize(net, method, bitset=bitset, example=(3, 32, 32), order=order)
    usual = by_names((name for name, _ in model.net.named_modules()), model.layers)
    assert model.followed == {name: usual[name] for name in model.followed}
    assert len(model.followed) >= 7


def test_bit_widths_stand_in_where_no_layer_comes_before():
    chosen = {"a": (4, 2), "b": (8, 8)}
    assert Followed(None, None).bits(chosen, (4, 2)) == ((4, 2), (4, 2))
    assert Followed("b", None).bits(chosen, (4, 2)) == ((8, 8), (8, 8))
    assert Followed("b", "a").bits(chosen, (4, 2)) == ((8, 8), (4, 2))
