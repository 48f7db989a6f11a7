"""What a pass of a run asks of a device."""

import pytest

from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import StepInfo
from bitswitch.nn.recompute import quantized_once
from bitswitch.planning.devices import Mode, device, known, roofline
from bitswitch.planning.method_work import _Counted
from bitswitch.planning.pass_work import RECOMPUTED, is_bare, pass_work
from bitswitch.planning.traffic import EXAMPLES, Traffic
from bitswitch.plugins.resolve import resolved, resolved_choice
from bitswitch.runtime import cache
from bitswitch.runtime.randomness import generator
from bitswitch.spec.run import Choice, RunSpec
from bitswitch.training.build import Parts
from bitswitch.training.step import train_step
from tests.conftest import TINY


@pytest.fixture(scope="module", autouse=True)
def fresh(tmp_path_factory):
    """Count anew, once for all tests here."""
    before, cache.FOLDER = cache.FOLDER, tmp_path_factory.mktemp("cache")
    yield
    cache.FOLDER = before


RUNS = {"float32": (32,), "double-rounding": (8, 4, 2)}


def run_of(method, bitset=(8, 4, 2), **training):
    recipe = {"epochs": 1, "batch_size": EXAMPLES, "learning_rate": 1e-4} | training
    fields = {"model": "resnet8", "dataset": TINY, "seed": 0, "training": recipe}
    return resolved(RunSpec.model_validate({"method": method, "bitset": bitset, **fields}))


def counted(run):
    """Return the work of a real training step of the whole network, for each pass."""
    with quantized_once():
        compiled = taken(run)
    return taken(run)._replace(fused_kernels=compiled.fused_kernels)


def taken(run):
    parts = Parts.of(run)
    batch = parts.example(EXAMPLES)
    model = parts.quantized(parts.float_net(), batch.inputs.device).train()
    model.calibrate([batch.inputs])
    state = parts.train_state(model, EXAMPLES)
    state.optimizers = _Counted()
    info = StepInfo(0, 1, 0, 1, generator("test"))
    with Traffic() as traffic:
        passes = len(train_step(state, Batch(*batch), 1e-4, info))
    return (traffic.examples + traffic.rest).times(1 / passes)


@pytest.mark.parametrize("method", ["double-rounding", "dorefa", "bit-mixer"])
def test_the_sum_of_network_and_method_is_what_a_real_step_takes(method):
    """Of ResNet-8: what the method does is known from two small networks alone."""
    run = run_of(method)
    whole, summed = counted(run), pass_work(run)
    assert summed.flops == pytest.approx(whole.flops, rel=0.01)
    assert summed.kernels == pytest.approx(whole.kernels, rel=0.1)
    assert summed.fused_kernels == pytest.approx(whole.fused_kernels, rel=0.2)
    moved = 28 * 77_000  # by the optimizer, which the step leaves out
    assert summed.other_bytes - moved == pytest.approx(whole.other_bytes, rel=0.15)


def test_full_precision_is_the_network_alone():
    run = run_of("float32", (32,))
    small, large = (pass_work(run_of("float32", (32,), batch_size=size)) for size in (8, 16))
    assert large.flops == 2 * small.flops
    assert large.kernels == small.kernels
    assert small.other_bytes < large.other_bytes < 2 * small.other_bytes
    assert not is_bare(run)


def test_evaluation_leaves_out_the_optimizer():
    run = run_of("double-rounding")
    trained, evaluated = (pass_work(run, is_trained) for is_trained in (True, False))
    assert trained.flops == evaluated.flops
    assert trained.other_bytes > evaluated.other_bytes
    assert trained.kernels > evaluated.kernels


@pytest.mark.parametrize(
    ("method", "recipe", "kernels"),
    [
        ("double-rounding", {"optimizer": "sgd"}, 3),
        ("double-rounding", {"optimizer": "adam"}, 6),
        ("double-rounding", {"optimizer": "sgd", "scale_optimizer": "adamw"}, 4),
        ("float32", {"optimizer": "adam"}, 4),
    ],
)
def test_an_update_launches_what_its_fused_kernels_are(method, recipe, kernels):
    """One for each group of parameters, and with Adam one that counts steps."""
    bitset = (32,) if method == "float32" else (8, 4, 2)
    run = run_of(method, bitset, update="separate", **recipe)
    plain, trained = (pass_work(run, is_trained) for is_trained in (False, True))
    assert trained.kernels - plain.kernels == pytest.approx(kernels)
    assert trained.host_kernels - plain.host_kernels == pytest.approx(kernels)


def test_compiled_convolutions_keep_what_was_quantized():
    """Eager ones quantize again for the gradient, and so does a compiled network without any."""
    run = run_of("double-rounding")
    with quantized_once():
        once = taken(run)
    again = taken(run)
    counted = pass_work(run, trained=False)
    assert counted.kernels == pytest.approx(again.kernels, rel=0.1)
    assert once.fused_kernels < again.fused_kernels
    missed = [abs(counted.fused_bytes - one.fused_bytes) for one in (once, again)]
    assert missed[0] < missed[1]


def test_python_of_a_captured_pass_grows_with_layers_that_switch():
    work = {name: pass_work(run_of(name, bits)) for name, bits in RUNS.items()}
    left = known().attainable
    layers = work["float32"].host_s / left.captured_layer_s
    assert layers == pytest.approx(round(layers))
    switched = layers * (left.captured_layer_s + left.captured_switch_s)
    assert work["double-rounding"].host_s == pytest.approx(switched)
    assert pass_work(run_of("double-rounding"), trained=False).host_s == 0


def test_parts_of_a_batch_launch_their_own_kernels_and_recomputing_takes_a_third_more():
    run = run_of("double-rounding")
    plain, cut, again = (
        pass_work(run.model_copy(update={"training": run.training.model_copy(update=changes)}))
        for changes in ({}, {"accumulate": 13}, {"checkpoint_activations": True})
    )
    assert cut.flops == plain.flops
    assert cut.kernels == pytest.approx(13 * plain.kernels, rel=0.01)
    assert again.flops == pytest.approx(RECOMPUTED * plain.flops)


@pytest.mark.parametrize("method", ["double-rounding", "eq-net", "hasb", "mbquant"])
def test_captured_steps_are_never_slower(method):
    work = pass_work(run_of(method))
    assert work.fused_kernels < work.kernels
    for name in ("h100", "t4"):
        eager, captured = (
            roofline(device(name), work, "float32", Mode(captured)).time_s
            for captured in (False, True)
        )
        assert captured <= eager


def test_passes_at_a_policy_of_their_own_are_compiled_but_launched_by_the_host():
    recurring, drawn = pass_work(run_of("double-rounding")), pass_work(run_of("bit-mixer"))
    assert recurring.host_kernels < recurring.fused_kernels / 4
    assert drawn.host_kernels == drawn.fused_kernels


def test_a_method_that_trains_nothing_adds_nothing():
    run = run_of("double-rounding")
    still = run.model_copy(update={"method": resolved_choice(Choice(name="ptmq"), "methods")})
    assert is_bare(still)
    assert pass_work(still, trained=False).flops == pass_work(run, trained=False).flops
