import pytest
import torch

from bitswitch.contracts.task import Task
from bitswitch.errors import CheckpointError, Diverged, PluginError, SpecError
from bitswitch.nn.dataflow import FirstLast
from bitswitch.plugins.resolve import resolved_choice
from bitswitch.results.result import write_result
from bitswitch.spec.run import Choice
from bitswitch.testing.subject import Subject
from bitswitch.training import checkpoint
from bitswitch.training.build import Parts, calibrate, inherit, load_float, start_model

CPU = torch.device("cpu")


def save_start(folder, run, net):
    folder.mkdir()
    state = {f"net.{name}": value for name, value in net.state_dict().items()}
    checkpoint.save(folder / checkpoint.NAME, run.run_id, {"model": state})


def test_a_start_gives_its_weights(tmp_path, tiny_run):
    start = tiny_run(bitset=(32,), seed=1)
    trained = Parts.of(start).float_net()
    save_start(tmp_path / "start", start, trained)
    net = Parts.of(tiny_run(seed=0)).float_net()
    load_float(net, start, tmp_path / "start")
    for name, value in trained.state_dict().items():
        assert torch.equal(net.state_dict()[name], value)


def test_a_start_that_does_not_fit_is_named(tmp_path, tiny_run):
    start = tiny_run(bitset=(32,))
    save_start(tmp_path / "start", start, torch.nn.Linear(2, 2))
    with pytest.raises(CheckpointError, match="does not fit model 'resnet8'"):
        load_float(Parts.of(tiny_run()).float_net(), start, tmp_path / "start")


def test_a_task_of_another_package_is_part_of_what_made_the_numbers(tiny_run, monkeypatch):
    parts = Parts.of(tiny_run())
    task = type("Task", (type(parts.dataset.task),), {"__module__": "of_a_stranger.tasks"})()
    monkeypatch.setattr(parts.dataset, "task", task)
    assert "of_a_stranger.tasks" in parts.modules


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"label_smoothing": 0.1}, "training.label_smoothing"),
        ({"distillation": "ps-kd"}, "training.distillation 'ps-kd'"),
    ],
)
def test_soft_targets_need_one_class_per_example(tiny_run, monkeypatch, changes, key):
    parts = Parts.of(tiny_run(**changes))
    model = parts.quantized(parts.float_net(), CPU)
    parts.train_state(model, 4)
    made = parts.example(2)
    several = made._replace(targets=made.targets[:, None].repeat(1, 5))
    monkeypatch.setattr(parts.dataset, "example", lambda *_: several)
    with pytest.raises(SpecError, match=rf"{key} needs one class per example; .*\(2, 5\)"):
        parts.train_state(model, 4)
    monkeypatch.setattr(parts.dataset, "task", Task())
    with pytest.raises(SpecError, match=f"{key} needs a task that classifies"):
        parts.train_state(model, 4)


def save_trained(folder, run, **changes):
    """Write a finished run whose scales are all 0.5; return its state."""
    parts = Parts.of(run)
    model = parts.quantized(parts.float_net(), CPU)
    with torch.no_grad():
        for scale in model.scale_parameters().values():
            scale.fill_(0.5)
    folder.mkdir(parents=True)
    checkpoint.save(folder / checkpoint.NAME, run.run_id, {"model": model.state_dict()})
    write_result(folder, {"status": "complete", "diagnosis": None} | changes, ())
    return model.state_dict()


def test_a_joint_start_gives_weights_and_scales(tmp_path, tiny_run, tiny_data):
    start = tiny_run(seed=1)
    state = save_trained(tmp_path / start.run_id, start)
    parts = Parts.of(tiny_run(seed=0).model_copy(update={"start": start}))
    model = start_model(parts, tmp_path, parts.open(tiny_data, CPU), CPU)
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_a_method_may_change_what_it_inherits(tmp_path, tiny_run, monkeypatch):
    start = tiny_run()
    save_trained(tmp_path / start.run_id, start)
    parts = Parts.of(tiny_run())

    def double(_, state):
        return {name: 2 * value for name, value in state.items()}

    monkeypatch.setattr(type(parts.method), "convert_state_dict", double)
    model = parts.quantized(parts.float_net(), CPU)
    inherit(model, parts, start, tmp_path / start.run_id)
    assert all((scale == 1).all() for scale in model.scale_parameters().values())


def test_the_method_that_inherits_is_to_blame(tmp_path, tiny_run, monkeypatch):
    start = tiny_run()
    save_trained(tmp_path / start.run_id, start)
    method = resolved_choice(Choice(name="adabits"), "methods")
    parts = Parts.of(start.model_copy(update={"method": method}))
    broken = lambda self, state: state["nothing"]  # noqa: E731
    monkeypatch.setattr(type(parts.method), "convert_state_dict", broken)
    model = parts.quantized(parts.float_net(), CPU)
    with pytest.raises(PluginError, match="method 'adabits'"):
        inherit(model, parts, start, tmp_path / start.run_id)


def test_a_start_must_be_finished(tmp_path, tiny_run, tiny_data):
    parts = Parts.of(tiny_run(seed=0).model_copy(update={"start": tiny_run(seed=1)}))
    with pytest.raises(CheckpointError, match=r"starts from the run .* which is not finished"):
        start_model(parts, tmp_path, parts.open(tiny_data, CPU), CPU)


def test_nothing_starts_from_a_run_that_diverged(tmp_path, tiny_run, tiny_data):
    start = tiny_run(seed=1)
    save_trained(tmp_path / start.run_id, start, status="diverged", diagnosis="loss is nan")
    parts = Parts.of(tiny_run(seed=0).model_copy(update={"start": start}))
    with pytest.raises(Diverged, match="diverged: loss is nan"):
        start_model(parts, tmp_path, parts.open(tiny_data, CPU), CPU)


def test_the_seed_decides_the_initial_weights(tiny_run):
    first, again, other = (
        Parts.of(tiny_run(seed=seed)).float_net().state_dict()["conv1.weight"] for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_seed_decides_what_quantizers_draw(tiny_run):
    method = resolved_choice(Choice(name="quept"), "methods")
    drawn = []
    for state, seed in enumerate((0, 0, 1)):
        torch.manual_seed(state)
        parts = Parts.of(tiny_run(seed=seed).model_copy(update={"method": method}))
        model = parts.quantized(Parts.of(tiny_run()).float_net(), torch.device("cpu"))
        drawn.append([one for name, one in model.state_dict().items() if name.endswith("right")])
        assert torch.initial_seed() == state
    assert all(map(torch.equal, drawn[0], drawn[1]))
    assert not any(map(torch.equal, drawn[0], drawn[2]))


def test_channels_come_last_in_memory(tiny_run):
    parts = Parts.of(tiny_run())
    model = parts.quantized(parts.float_net(), CPU)
    weight = model.get_parameter("net.stages.0.0.conv1.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", ["gptq", "any-precision-llm", "ptmq", "mbquant"])
def test_channels_come_last_beside_tables_of_any_number_of_axes(name):
    parts = Parts.of(Subject.of(name, None, (4, 2), (4,)).spec)
    model = parts.quantized(parts.float_net(), CPU)
    weights = [layer.weight for layer in model.layers.values() if layer.weight.dim() == 4]
    assert len(weights) > 3
    assert all(one.is_contiguous(memory_format=torch.channels_last) for one in weights)


def test_calibration_sets_the_activation_scales_and_repeats(tiny_run, tiny_data):
    def scales():
        parts = Parts.of(tiny_run())
        model = parts.quantized(parts.float_net(), CPU)
        calibrate(model, parts.spec, parts.open(tiny_data, CPU))
        found = model.scale_parameters().items()
        return torch.stack([p.detach() for name, p in found if "activation" in name])

    first = scales()
    assert not (first == 1).any()
    assert torch.equal(first, scales())


def test_modules_are_those_of_the_plugins(tiny_run):
    assert Parts.of(tiny_run()).modules == [
        "bitswitch.methods.double_rounding",
        "bitswitch.models.cifar_resnet",
        "bitswitch.data.digits",
        "bitswitch.tasks.classification",
    ]


@pytest.mark.parametrize(
    ("part", "hook", "call"),
    [
        ("model", "build", lambda parts: parts.float_net()),
        ("dataset", "open", lambda parts: parts.open(None, CPU)),
        ("method", "weight_quantizer", lambda parts: parts.quantized(parts.float_net(), CPU)),
        ("method", "on_quantized", lambda parts: parts.quantized(parts.float_net(), CPU)),
    ],
)
def test_a_plugin_that_fails_is_named(tiny_run, monkeypatch, part, hook, call):
    def fail(*_):
        raise ZeroDivisionError("by mistake")

    parts = Parts.of(tiny_run())
    plugin = getattr(parts, part)
    monkeypatch.setattr(type(plugin), hook, fail)
    name = getattr(parts.spec, part).name
    with pytest.raises(PluginError, match=f"of {part} '{name}' fails: ZeroDivisionError"):
        call(parts)


def test_a_run_keeps_layers_float_and_a_model_may_name_its_ends(tiny_run, monkeypatch):
    parts = Parts.of(tiny_run().model_copy(update={"keep": ("stages.*.conv2",)}))
    layers = parts.quantized(parts.float_net(), CPU).layers
    assert layers
    assert not any(name.endswith("conv2") for name in layers)
    first = next(iter(layers))
    monkeypatch.setattr(parts.model, "first_last", lambda net: FirstLast(("conv1", first), ("fc",)))
    assert list(parts.quantized(parts.float_net(), CPU).layers) == list(layers)[1:]
