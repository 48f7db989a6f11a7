import pytest

from bitswitch.contracts.card import ExamplePasses
from bitswitch.planning import estimates, probe
from bitswitch.planning.estimates import Cost, Here, data_bytes, estimate
from bitswitch.plugins import facts
from bitswitch.plugins.resolve import resolved_choice
from bitswitch.runtime import cache
from bitswitch.spec.run import Choice, SensitivitySpec
from bitswitch.spec.search import SearchSpec
from bitswitch.suite.suite import load_suite, suite_path
from bitswitch.training.predictions import Predictions


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Measure every step as a quarter of a second, and return what was measured."""
    monkeypatch.setattr(cache, "FOLDER", tmp_path)
    runs = []

    def measure(run, device):
        runs.append(run)
        return 0.25

    monkeypatch.setattr(probe, "measure_step", measure)
    return runs


@pytest.fixture(scope="module")
def paper():
    """Return all runs of the suite ``paper``."""
    return list(load_suite(suite_path("paper")).runs.values())


def test_steps_are_epochs_of_whole_batches(measured, tiny_run):
    run = tiny_run()  # 48 images in batches of 16, twice
    assert estimate(run, Here("cpu", gpu=False)).steps == 6


def test_time_is_start_training_and_evaluation(measured, tiny_run):
    # 20 held-out images per epoch and 40 test images, forward only, at as many bit-widths as a
    # step has passes.
    evaluation = (2 * 20 + 40) / 16 * estimates.FORWARD_SHARE
    expected = estimates.START_TIME_S + (6 + evaluation) * 0.25
    assert estimate(tiny_run(), Here("cpu", gpu=False)).time_s == pytest.approx(expected)


@pytest.mark.parametrize(
    ("method", "passes"),
    [("double-rounding", 3), ("multiquant", 3), ("kure", 1), ("bit-mixer", 1), ("abn", 3)],
)
def test_passes_are_those_of_the_method(measured, tiny_run, method, passes):
    run = tiny_run(update="conventional", alrs=None)
    run = run.model_copy(update={"method": resolved_choice(Choice(name=method), "methods")})
    evaluation = (2 * 20 + 40) / 16 * estimates.FORWARD_SHARE * 3 * 0.25 / passes
    after = estimates._in_trained(facts.finish_work(run, estimates._extent(run)))
    expected = estimates.START_TIME_S + 6 * 0.25 + evaluation + after / 16 * 0.25 / passes
    assert estimate(run, Here("cpu", gpu=False)).time_s == pytest.approx(expected)


def test_passes_are_counted_once_for_a_run_and_its_probe(measured, tiny_run, monkeypatch):
    counted = []
    monkeypatch.setattr(probe, "passes_of", lambda run: counted.append(run) or 3.0)
    estimate(tiny_run(), Here("cpu", gpu=False))
    assert len(counted) == 1


def test_what_finishes_a_run_is_counted(measured, tiny_run, monkeypatch):
    alone = estimate(tiny_run(), Here("cpu", gpu=False)).time_s
    monkeypatch.setattr(estimates.facts, "finish_work", lambda run, extent: ExamplePasses(32, 64))
    images = 64 + 32 * estimates.FORWARD_SHARE
    more = images / 16 * 0.25 / 3  # three bit-widths a step
    assert estimate(tiny_run(), Here("cpu", gpu=False)).time_s == pytest.approx(alone + more)


def test_a_method_without_training_takes_no_steps(measured, tiny_run):
    run = tiny_run(update="conventional", alrs=None)
    run = run.model_copy(update={"method": resolved_choice(Choice(name="ptmq"), "methods")})
    cost = estimate(run, Here("cpu", gpu=False))
    assert cost.steps == 0
    assert cost.time_s > estimates.START_TIME_S + 100  # of reconstruction


def test_a_kind_of_run_is_measured_once(measured, tiny_run):
    same = [tiny_run(seed=seed, epochs=epochs) for seed in (0, 1) for epochs in (1, 2)]
    others = [tiny_run(bitset=(8, 4)), tiny_run(update="conventional", alrs=None)]
    for run in (*same, *others):
        estimate(run, Here("cpu", gpu=False))
    assert len(measured) == 3


def test_measuring_neither_trains_nor_downloads(measured, paper):
    runs = paper
    for run in runs:
        estimate(run, Here("cpu", gpu=False))
    assert all(run.model.options.get("weights", "none") == "none" for run in measured)
    assert all(run.training.learning_rate < 1e-9 for run in measured)
    assert len(measured) < len(runs) / 4


def test_big_images_are_measured_few_at_a_time_at_full_precision(measured, paper):
    runs = paper
    joint = [run for run in runs if run.method.name == "double-rounding" and len(run.bitset) == 4]
    run = next(run for run in joint if run.dataset.name == "imagenet")
    cost = estimate(run, Here("cpu", gpu=False))
    (small,) = measured
    assert small.training.batch_size == 2
    assert small.is_float
    per_step = 4 * 0.25 * run.training.batch_size / 2
    evaluation = estimates.FORWARD_SHARE * (run.training.epochs * 10_000 + 50_000)
    evaluation /= run.training.batch_size
    assert cost.time_s == pytest.approx((cost.steps + evaluation) * per_step, rel=1e-3)


def test_one_small_step_stands_for_all_methods_of_a_network(measured, paper):
    """However they update: at full precision there is one pass."""
    runs = paper
    large = [
        run
        for run in runs
        if run.model.name == "resnet18" and run.dataset.name == "imagenet" and not run.is_float
    ]
    adam = [run for run in large if run.training.optimizer == "adam"]
    assert len({run.training.update for run in adam}) == 2
    chosen = {(run.training.update, run.training.distillation): run for run in adam}
    for run in chosen.values():
        estimate(run, Here("cpu", gpu=False))
    assert len(measured) == 1


@pytest.fixture
def published():
    """A joint run of TinyLlama-1.1B as published."""
    runs = load_suite(suite_path("tinyllama")).runs.values()
    return next(
        run for run in runs if len(run.bitset) == 4 and run.training.scale_step == "relative"
    )


def test_steps_that_a_processor_takes_too_long_for_are_counted(measured, monkeypatch, published):
    """A thousand steps of four widths; 16 bits and recomputed blocks change training alone."""
    monkeypatch.setattr(probe, "measure_rate", lambda device: 1e12)
    cost = estimate(published, Here("cpu", gpu=False))
    assert measured == []
    assert cost.steps == 1000
    products = 1.034e9 * 2048 + 22 * 2 * 2048**3  # of weights but the embedding's; of attention
    flops = 6 * products * 4  # of one example at all widths
    trained, evaluated = 16_000 * flops, (10 * 64 + 160) * flops / 3
    again = estimates.RECOMPUTED
    expected = again * (trained + evaluated) / 1e12
    assert cost.time_s == pytest.approx(expected, rel=0.01)
    on_gpu = again * trained / estimates.GPU_FLOPS_16 + evaluated / estimates.GPU_FLOPS
    assert cost.gpu_time_s == pytest.approx(on_gpu, rel=0.01)


def test_on_a_gpu_large_steps_are_measured(measured, published):
    estimate(published, Here("cuda", gpu=True))
    assert [run.training.batch_size for run in measured] == [16]


def test_on_a_gpu_the_whole_batch_is_measured(measured, tiny_run):
    cost = estimate(tiny_run(), Here("cuda", gpu=True))
    assert measured[0].training.batch_size == 16
    assert cost.gpu_time_s == cost.time_s


def test_disk_holds_the_checkpoint(measured, tiny_run):
    parameters = 77_000  # of ResNet-8, roughly
    cost = estimate(tiny_run(), Here("cpu", gpu=False))
    assert cost.disk_bytes - estimates.RECORDS_BYTES == pytest.approx(12 * parameters, rel=0.05)


def test_disk_holds_the_predictions_of_ps_kd(measured, tiny_run, tmp_path):
    plain, kept = (
        estimate(tiny_run(distillation=name), Here("cpu", gpu=False)).disk_bytes
        for name in ("none", "ps-kd")
    )
    Predictions(48, 10, tmp_path / "file")
    assert kept - plain == (tmp_path / "file").stat().st_size


def test_datasets_are_counted_uncompressed():
    dataset = Choice(name="digits", options={"size": 8, "train": 48, "held_out": 20, "test": 40})
    assert data_bytes(resolved_choice(dataset, "datasets")) == 108 * 3 * 8 * 8


def test_costs_add_up():
    total = Cost(1, 2.0, 3.0, 4, 5) + Cost(10, 20.0, 30.0, 40, 50)
    assert total == Cost(11, 22.0, 33.0, 44, 50)


def test_a_sensitivity_is_passes_over_its_images(measured, tiny_run, monkeypatch):
    monkeypatch.setattr(
        estimates.facts,
        "scoring_work",
        lambda _, images, outputs: ExamplePasses(trained=outputs * images),
    )
    spec = SensitivitySpec(
        sensitivity="quantization-error", run=tiny_run(), bitset=(8, 4), examples=32
    )
    expected = estimates.START_TIME_S + 10 * 32 / 16 * 0.25 / 3  # three bit-widths a step
    cost = estimates.estimate_sensitivity(spec, Here("cpu", gpu=False))
    assert cost.time_s == pytest.approx(expected)


def test_a_search_is_evaluations_tests_training_and_retraining(measured, tiny_run, monkeypatch):
    budgets = [{"cost": "average-bits", "at_most": 4}, {"cost": "size", "share": 0.5}]
    monkeypatch.setattr(estimates.facts, "search_work", lambda *_: ExamplePasses(trained=7))
    run = tiny_run()
    spec = SearchSpec(
        search="random",
        run=run,
        budgets=budgets,
        evaluations=5,
        examples=10,
        recalibration=2,
        retraining=run.training,
    )

    def time_s(forward, trained):
        images = 2 * (forward * estimates.FORWARD_SHARE + trained)
        return estimates.START_TIME_S + images / 16 * 0.25 / 3

    def estimated(spec):
        return estimates.estimate_search(spec, Here("cpu", gpu=False)).time_s

    # Of each budget: five evaluations; 20 held-out images, and 40 test images at the policy, at one
    # bit-width for all layers, and after two epochs of 48 images; two batches of 16 before each of
    # these; seven that the search trains on.
    forward = 5 * 10 + 20 + 3 * 40 + (5 + 4) * 2 * 16
    assert estimated(spec) == pytest.approx(time_s(forward, 2 * 48 + 7))
    # A search that evaluates nothing does not take what the others are allowed.
    without = spec.model_copy(update={"search": Choice(name="uniform"), "retraining": None})
    assert estimated(without) == pytest.approx(time_s(20 + 2 * 40 + 3 * 2 * 16, 7))
