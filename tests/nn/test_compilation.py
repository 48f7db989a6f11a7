import copy
import inspect
import os

import pytest
import torch
from torch._dynamo.utils import counters

from bitswitch.conversion import quantize
from bitswitch.nn.compilation import TRACED, compiler, prepare_compilation
from bitswitch.types import FLOAT_BITS

from .small_network import BITSET, double_rounding, float_net, unshared

POLICIES = [*BITSET, 8, {"3": (8, 2), "6": 4, "9": (2, 8)}]


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch.compiler.reset()
    counters.clear()


def step(model, images, policy):
    model.zero_grad()
    model.switch(policy)
    output = model(images)
    output.square().mean().backward()
    return output.detach()


def compare(model, compiled, images):
    """Train both a little; outputs, gradients and statistics must agree."""
    for policy in POLICIES:
        torch.testing.assert_close(
            step(compiled, images, policy), step(model, images, policy), rtol=1e-3, atol=1e-4
        )
        for (name, p), q in zip(model.named_parameters(), compiled.parameters(), strict=True):
            assert (q.grad is None) == (p.grad is None), name
            if p.grad is not None:
                torch.testing.assert_close(q.grad, p.grad, rtol=1e-3, atol=1e-3, msg=name)
    for (name, a), b in zip(model.named_buffers(), compiled.buffers(), strict=True):
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("method", [double_rounding(), unshared(weight_granularity="per-group-4")])
def test_one_graph_serves_every_policy(images, method):
    model = quantize(float_net(), method)
    model.calibrate([images])
    compiled = copy.deepcopy(model)
    compiled.compile(backend="aot_eager")
    compare(model, compiled, images)
    assert counters["stats"]["unique_graphs"] == 1


def test_evaluation_and_full_precision_compile_nothing(model, images):
    expected = model.eval()(images)
    model.compile(backend="aot_eager")
    assert torch.equal(model(images), expected)
    with model.train().at(FLOAT_BITS):
        model(images)
    assert counters["stats"]["unique_graphs"] == 0


def test_a_whole_model_compiled_by_hand_needs_one_graph_too(model, images):
    compiled = torch.compile(model, backend="aot_eager", dynamic=False)
    for bits in BITSET:
        model.switch(bits)
        expected = copy.deepcopy(model)(images)
        torch.testing.assert_close(compiled(images), expected, rtol=1e-3, atol=1e-4)
    assert counters["stats"]["unique_graphs"] == 1


def test_the_cache_folder_is_the_users_unless_set(monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/elsewhere")
    prepare_compilation()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "/elsewhere"
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    monkeypatch.setattr(os, "environ", environment := {})
    prepare_compilation()
    assert environment["TORCHINDUCTOR_CACHE_DIR"].endswith("bitswitch/compiled")


def test_the_key_of_compiled_code_covers_all_that_is_traced_as_one():
    used = {
        one.__module__
        for module in TRACED
        for one in vars(module).values()
        if inspect.isfunction(one) and one.__module__.startswith("bitswitch.quant")
    }
    assert used == {module.__name__ for module in TRACED}


def test_kernels_for_gpus_divide_to_the_last_place():
    """Triton's own division is off by two units there; which kernels need it, types say."""
    from torch._inductor.codegen.common import CSEVariable
    from torch._inductor.codegen.triton import TritonOverrides
    from torch.utils._sympy.value_ranges import ValueRanges

    prepare_compilation()
    values = [CSEVariable(name, ValueRanges.unknown(), torch.float32) for name in ("x", "scale")]
    assert TritonOverrides.truediv(*values) == "triton.language.div_rn(x, scale)"


@pytest.mark.slow
def test_fused_kernels_compute_the_same(model, images, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    compiled = copy.deepcopy(model).to(memory_format=torch.channels_last)
    compiled.compile()
    compare(model, compiled, images)
    assert counters["stats"]["unique_graphs"] == 1


def test_what_was_quantized_is_kept_for_backward_only_beside_convolutions(monkeypatch):
    from torch._functorch import config
    from torch._inductor import compile_fx

    def seen(graph, inputs, config_patches):
        assert config_patches is None
        bans = config.ban_recompute_materialized_backward, config.ban_recompute_used_far_apart
        return graph, inputs, *bans

    monkeypatch.setattr(compile_fx, "compile_fx", seen)
    assert compiler(float_net()) == "inductor"
    backend = compiler(torch.nn.Sequential(torch.nn.Linear(4, 4)))
    assert backend("graph", ["inputs"]) == ("graph", ["inputs"], False, False)
    assert config.ban_recompute_materialized_backward
    assert config.ban_recompute_used_far_apart


def test_a_captured_graph_asks_for_what_reduce_overhead_does(monkeypatch):
    from torch._functorch import config
    from torch._inductor import compile_fx, list_mode_options

    def seen(graph, inputs, config_patches):
        return config_patches, config.ban_recompute_materialized_backward

    monkeypatch.setattr(compile_fx, "compile_fx", seen)
    expected = list_mode_options("reduce-overhead")
    assert compiler(float_net(), captured=True)("graph", []) == (expected, True)
    linear = torch.nn.Sequential(torch.nn.Linear(4, 4))
    assert compiler(linear, captured=True)("graph", []) == (expected, False)


def test_passes_are_captured_where_kernels_can_be_replayed_and_steps_recur(model, monkeypatch):
    begun, compiled = [], []
    monkeypatch.setattr("bitswitch.nn.model.begin_captured_step", lambda: begun.append(1))
    monkeypatch.setattr(model.net, "compile", lambda backend, dynamic: compiled.append(backend))
    model.compile()
    model.begin_step((8, 4))
    assert (compiled, begun) == (["inductor"], [])  # this is a processor
    monkeypatch.setattr("bitswitch.nn.model.CAPTURING", ("cpu",))
    model.compile()
    model.begin_step((8, 4))
    model.begin_step((8, 4))
    assert compiled[1].keywords["captured"]
    assert len(begun) == 2
    for _ in range(2):
        model.begin_step(None)
        model.begin_step((8, 4))
    assert (compiled[2:], len(begun)) == (["inductor"], 2)


def test_no_more_passes_are_captured_than_the_bound(model, monkeypatch):
    begun, compiled = [], []
    monkeypatch.setattr("bitswitch.nn.model.begin_captured_step", lambda: begun.append(1))
    monkeypatch.setattr("bitswitch.nn.model.CAPTURING", ("cpu",))
    monkeypatch.setattr("bitswitch.nn.model.MOST_CAPTURED", 4)
    monkeypatch.setattr(model.net, "compile", lambda backend, dynamic: compiled.append(backend))
    model.compile()
    for passes in ((8, 4), (8, 2), (8, 4), (8, 2, 4)):  # 8; 4, 2 after it; 4 after both
        model.begin_step(passes)
    assert (len(begun), len(compiled)) == (4, 1)
    for passes in ((4, 8), (8, 4)):  # beyond, nothing is captured, whatever is known
        model.begin_step(passes)
    assert (len(begun), compiled[1:]) == (4, ["inductor"])
