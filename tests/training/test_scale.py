"""Means for large networks: parts of a batch, sliced losses, blocks computed again, 16 bits."""

import pytest
import torch
from pydantic import ValidationError
from torch.utils._python_dispatch import TorchDispatchMode

from bitswitch.bench.memory import peak_memory_mib
from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import EarlierLogits, Method
from bitswitch.errors import PluginError, SpecError
from bitswitch.models.llama import LlamaNet, Size
from bitswitch.plugins import facts
from bitswitch.plugins.resolve import resolved
from bitswitch.spec.run import RunSpec
from bitswitch.spec.training import TrainingSpec
from bitswitch.tasks import language_model
from bitswitch.testing.subject import Subject
from bitswitch.training.build import Parts
from bitswitch.training.step import train_step

CPU = torch.device("cpu")
CONTEXT = 8
TRAINING = {"epochs": 1, "batch_size": 4, "learning_rate": 1e-3, "optimizer": "sgd"}
SIZE = {"width": 16, "ffn": 24, "blocks": 2, "heads": 2, "kv_heads": 1, "context": 16}


def spec_of(method="double-rounding", model="llama", **training):
    return resolved(
        RunSpec(
            method=method,
            model={"name": model, "options": SIZE if model == "llama" else {}},
            dataset={"name": "shakespeare", "options": {"context": CONTEXT}}
            if model == "llama"
            else {"name": "digits", "options": {"size": 8}},
            bitset=(8, 2),
            seed=0,
            training=TRAINING | {"update": "separate"} | training,
        )
    )


def stepped(step_info, steps=2, **training):
    """Return the losses of some steps, and all parameters after them."""
    parts = Parts.of(spec_of(**training))
    model = parts.quantized(parts.float_net(), torch.device("cpu")).train()
    batch = parts.example(4)
    model.calibrate([batch.inputs])
    state = parts.train_state(model, 4)
    results = [train_step(state, batch, 1e-2, step_info(step)) for step in range(steps)]
    assert {value.dtype for value in model.state_dict().values() if value.is_floating_point()} == {
        torch.float32
    }
    losses = torch.tensor([[one.loss for one in result] for result in results])
    return losses, {name: value.clone() for name, value in model.named_parameters()}


@pytest.fixture
def plain(step_info):
    return stepped(step_info)


def alike(found, expected, atol):
    torch.testing.assert_close(found[0], expected[0], rtol=0, atol=atol)
    torch.testing.assert_close(found[1], expected[1], rtol=0, atol=atol)


@pytest.mark.parametrize("method", ["double-rounding", "lsq-plus", "eq-net"])
@pytest.mark.parametrize("parts", [2, 4])
@pytest.mark.parametrize("distillation", ["none", "neighbour"])
def test_gradients_of_parts_are_those_of_the_batch(step_info, parts, distillation, method):
    """After one update: in the next, weights that differ in a last digit have other codes."""
    common = {
        "steps": 1,
        "update": "conventional",
        "distillation": distillation,
        "method": method,
    }
    alike(stepped(step_info, accumulate=parts, **common), stepped(step_info, **common), 1e-6)


@pytest.mark.parametrize("parts", [3, 5])
def test_parts_that_cannot_be_equal_are_refused(parts):
    with pytest.raises(ValidationError, match=rf"accumulate {parts} must divide .*batch_size 4"):
        TrainingSpec(**TRAINING, accumulate=parts)


@pytest.mark.parametrize("method", ["coquant", "rfquant"])
def test_methods_that_look_at_whole_batches_have_no_rows_in_parts(method):
    options = {"accumulate": 2, "update": "conventional"}
    assert "accumulate must be 1" in Parts.of(spec_of(method, **options)).method.skip(
        spec_of(method, **options)
    )


def test_a_method_that_looks_at_the_whole_batch_is_refused(step_info):
    with pytest.raises(Exception, match=r"CoQuant looks at the whole batch.*accumulate 2"):
        stepped_by_coquant(step_info)


def stepped_by_coquant(step_info):
    parts = Parts.of(spec_of("coquant", accumulate=2, update="conventional"))
    model = parts.quantized(parts.float_net(), torch.device("cpu")).train()
    batch = parts.example(4)
    model.calibrate([batch.inputs])
    train_step(parts.train_state(model, 4), batch, 1e-2, step_info(0))


def test_a_loss_in_slices_is_the_same(step_info, plain, monkeypatch):
    monkeypatch.setattr(language_model, "SLICE", 5)
    alike(stepped(step_info), plain, 1e-6)


def test_positions_that_do_not_count_are_in_no_slice(monkeypatch):
    task = Parts.of(spec_of()).dataset.task
    outputs, targets = torch.randn(2, 6, 256), torch.randint(256, (2, 6))
    targets[:, 3:] = -100
    expected = task.loss(outputs, targets)
    monkeypatch.setattr(language_model, "SLICE", 4)
    torch.testing.assert_close(task.loss(outputs, targets), expected)


def test_blocks_that_are_computed_again_give_the_same_to_the_bit(step_info, plain):
    losses, parameters = stepped(step_info, checkpoint_activations=True)
    assert torch.equal(losses, plain[0])
    assert all(torch.equal(parameters[name], value) for name, value in plain[1].items())


def test_blocks_keep_only_what_they_read():
    def kept(**training):
        parts = Parts.of(spec_of(**training))
        model = parts.quantized(parts.float_net(), torch.device("cpu")).train()
        inputs = parts.example(4).inputs
        model.calibrate([inputs])
        sizes = []

        def pack(saved):
            sizes.append(saved.numel())
            return saved

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
            model(inputs)
        return sum(sizes)

    assert kept(checkpoint_activations=True) < kept() / 2


def test_a_network_without_blocks_is_refused():
    parts = Parts.of(spec_of(model="resnet8", checkpoint_activations=True))
    with pytest.raises(SpecError, match="'resnet8' names no blocks") as found:
        parts.quantized(parts.float_net(), torch.device("cpu"))
    assert "accumulate" in str(found.value)


def test_products_of_16_bits_leave_weights_scales_and_gradients_in_32(step_info, plain):
    found = stepped(step_info, precision="bfloat16")
    assert not torch.equal(found[0], plain[0])
    torch.testing.assert_close(found[0], plain[0], rtol=0.02, atol=0)
    alike(found, plain, 0.05)


def test_convolutions_of_16_bits_follow_those_of_32_for_some_steps(step_info):
    """At four bit-widths, an update after each; 1 % is allowed at first, 5 % later.

    Products round to three digits. What that moves to the next code is carried on by updates.
    """

    def losses(precision):
        spec = spec_of(model="resnet8", alrs={"variant": "relative"}, precision=precision)
        parts = Parts.of(spec.model_copy(update={"bitset": (8, 6, 4, 2)}))
        model = parts.quantized(parts.float_net(), CPU).train()
        batch = parts.example(32)
        model.calibrate([batch.inputs])
        state = parts.train_state(model, 32)
        found = [train_step(state, batch, 3e-3, step_info(step)) for step in range(6)]
        assert {one.dtype for one in model.state_dict().values() if one.is_floating_point()} == {
            torch.float32
        }
        return torch.tensor([[one.loss for one in step] for step in found])

    whole, short = losses("float32"), losses("bfloat16")
    assert whole[-1, 0] < whole[0, 0] - 0.3  # it learns something to follow
    assert not torch.equal(short, whole)
    torch.testing.assert_close(short[0], whole[0], rtol=0.01, atol=0)
    torch.testing.assert_close(short, whole, rtol=0.05, atol=0)


def test_products_of_10_bits_are_those_of_forward_and_backward_on_a_gpu(step_info, plain):
    """A processor has none, and keeps all bits."""
    matmul, seen = torch.backends.cuda.matmul, []
    before = matmul.allow_tf32

    class Watched(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            seen.append(matmul.allow_tf32)
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            seen.append(matmul.allow_tf32)
            return gradient

    loss = Method.loss
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Method, "loss", lambda self, context: Watched.apply(loss(self, context)))
        found = stepped(step_info, precision="tf32")
    assert set(seen) == {True}
    assert matmul.allow_tf32 == before
    alike(found, plain, 0)


def test_codes_are_those_of_float32_inputs():
    parts = Parts.of(spec_of())
    model = parts.quantized(parts.float_net(), torch.device("cpu")).train()
    model.calibrate([parts.example(4).inputs])
    layer = next(iter(model.layers.values()))
    seen = []
    layer.activation_quantizer.register_forward_pre_hook(lambda _, args: seen.append(args[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        layer(torch.randn(2, 3, 16).bfloat16())
    assert seen == [torch.float32]


@pytest.mark.parametrize(("distillation", "more"), [("none", 0), ("neighbour", 1)])
@pytest.mark.parametrize("parts", [1, 2])
def test_logits_live_as_long_as_a_pass_reads_them(step_info, parts, distillation, more):
    """Peaks of four bit-widths beside those of one, in logits of a batch, 4 MiB."""
    rows, vocabulary = 4 * 64, 4096

    def peak(bitset, **training):
        spec = spec_of(accumulate=parts, update="conventional", **training)
        parts_of = Parts.of(spec.model_copy(update={"bitset": bitset}))
        net = LlamaNet(Size(vocabulary, 8, 8, 1, 1, 1, 64, 1e-5, 1e4, tied=False, fused=False))
        model = parts_of.quantized(net, torch.device("cpu")).train()
        tokens = torch.randint(vocabulary, (4, 64))
        batch = Batch(tokens, tokens, torch.arange(4))
        model.calibrate([tokens])
        state = parts_of.train_state(model, 4)
        train_step(state, batch, 1e-2, step_info())
        return peak_memory_mib(lambda: train_step(state, batch, 1e-2, step_info()), CPU)

    logits = 4 * rows * vocabulary / 2**20
    alone, several = peak((8,)), peak((8, 6, 4, 2), distillation=distillation)
    assert (several - alone) / logits == pytest.approx(more, abs=0.6)


def test_logits_that_are_gone_are_named():
    kept = torch.zeros(1)
    earlier = EarlierLogits([None, kept])
    assert len(earlier) == 2
    assert earlier[1] is kept
    assert list(earlier[1:]) == [kept]
    with pytest.raises(PluginError, match=r"pass 0 are not kept.*\n.*reads_all_logits = True"):
        earlier[0]


def test_recipes_without_them_keep_their_identity():
    given = TrainingSpec(**TRAINING).model_dump()
    assert not {"precision", "accumulate", "checkpoint_activations"} & set(given)
    for name in ("tf32", "bfloat16"):
        assert TrainingSpec(**TRAINING, precision=name).model_dump()["precision"] == name


def test_methods_whose_loss_is_no_mean_refuse_parts_of_batches():
    run = spec_of("l1-regularization", "resnet8", accumulate=2, update="conventional")
    assert "accumulate must be 1" in facts.refusal(run)
    assert facts.refusal(spec_of("l1-regularization", "resnet8", update="conventional")) is None


class Convolutions(TorchDispatchMode):
    """Notes of every tensor that a convolution reads whether its channels come last."""

    def __init__(self):
        super().__init__()
        self.last = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if "convolution" in str(function):
            read = [x for x in args if isinstance(x, torch.Tensor) and x.dim() == 4]
            self.last += [
                x.is_contiguous(memory_format=torch.channels_last)
                for x in read
                if x.shape[1] not in (1, 3)  # depthwise weights and images lie either way
            ]
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["float32", "double-rounding", "dorefa", "mbquant", "rfquant"])
def test_channels_stay_last_through_quantizers_batch_norms_and_gradients(
    name, precision, step_info
):
    spec = Subject.of(name).spec
    training = spec.training.model_copy(update={"precision": precision})
    parts = Parts.of(spec.model_copy(update={"training": training}))
    batch = parts.example(4)
    model = parts.quantized(parts.float_net(), CPU).train()
    if name != "float32":
        model.calibrate([batch.inputs])
    train_state = parts.train_state(model, 4)
    with Convolutions() as seen:
        train_step(train_state, batch, 1e-3, step_info(0))
    assert len(seen.last) > 40
    assert all(seen.last)
