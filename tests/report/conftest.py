"""Synthetic suites and run directories: nothing here was measured, and nothing leaves the tests."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bitswitch.contracts.metric import Metric, binomial_noise
from bitswitch.plugins import facts, registry
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.collect.headline import Headline
from bitswitch.results.correct import Correct
from bitswitch.results.record import write_lines
from bitswitch.results.result import write_result
from bitswitch.spec.run import RunSpec
from bitswitch.suite.suite import Suite
from bitswitch.types import FLOAT_BITS

TOP1 = Metric("top1", "Top-1", "percent", "higher", 2)
FACTS = {
    "stamp": "embedded digits 16x16",
    "outputs": 10,
    "sizes": {"test": 1000},
    "rows": 1,
    "type": "torch.float32",
    "metrics": [TOP1._asdict()],
    "measure": "accuracy",
    "note": "",
    "example": "image",
    "beside": [],
    "chance": 10.0,
    "chance_bound": 100 * (0.1 + 3.09 * (0.1 * 0.9 / 1000) ** 0.5),
}
HEADLINE = Headline.of(FACTS)
LAYERS = ("layer1.0.conv1", "layer1.0.conv2", "layer2.0.conv1", "layer2.0.conv2")
TRAINING = {"epochs": 3, "batch_size": 64, "learning_rate": 5e-4, "weight_decay": 5e-5}
NETWORK = {
    "model": "resnet20",
    "dataset": "digits",
    "bitsets": [[8, 6, 4, 2], [4, 3, 2]],
    "float_training": TRAINING,
    "training": TRAINING,
}
OFF = {"update": "separate", "record_scale_gradients": True}
ALRS = {"update": "separate", "alrs": {"variant": "relative"}}
EXPERIMENTS = {
    "alrs": {
        "title": "Table 4: adaptive learning-rate scaling",
        "printed": "table4",
        "figures": ["gradients-and-curves", "scale-gradients"],
        "networks": ["resnet20"],
        "variants": {
            "without-alrs": {
                "title": "w/o ALRS",
                "published": "without-alrs",
                "training": OFF,
            },
            "with-alrs": {"title": "w. ALRS", "published": "with-alrs", "training": ALRS},
        },
    },
    "separate": {
        "title": "Table 5: one training per bit-width",
        "printed": "table5",
        "table": "cost",
        "beside": {"experiment": "alrs", "variant": "with-alrs"},
        "networks": ["resnet20"],
        "bitsets": [[8], [6], [4], [3], [2]],
        "seeds": [0],
        "variants": {
            "separate": {"title": "separate"},
        },
    },
    "readings": {
        "title": "Readings of Eq. 6",
        "figures": ["staircases"],
        "networks": ["resnet20"],
        "bitsets": [[8, 6, 4, 2]],
        "variants": {
            "relative": {"title": "relative (default)", "training": ALRS},
            "literal": {
                "title": "literal",
                "training": {"update": "separate", "alrs": {"variant": "literal"}},
            },
        },
    },
}

SHARED: dict[str, Any] = yaml.safe_load(Path("config/experiments.yaml").read_text())
"""Experiments that suites name."""

PUBLISHED_NETWORKS = {
    model: {"title": model, "published": model, **NETWORK, "dataset": "imagenet"}
    for model in ("resnet18", "resnet50", "mobilenetv2")
}

MakeRuns = Callable[..., Path]


@pytest.fixture(autouse=True)
def known_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every plugin name do, so that no test here needs torch."""
    know_plugins(monkeypatch)


@pytest.fixture(scope="session")
def mixed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Collected tables of mixed precision, where all went well; not to be changed."""
    from tests.report import mixed

    results = tmp_path_factory.mktemp("mixed")
    with pytest.MonkeyPatch.context() as patch:
        know_plugins(patch)
        suite = mixed.make_mixed()
        mixed.write_all(suite, results)
        return collect.write(suite, results)


@pytest.fixture(scope="session")
def mixed_frames(mixed_folder: Path) -> Frames:
    """The same, read; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        know_plugins(patch)
        return Frames.read(mixed_folder)


@pytest.fixture(scope="session")
def all_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the small suite where all went well; not to be changed."""
    results = tmp_path_factory.mktemp("small") / "results"
    with pytest.MonkeyPatch.context() as patch:
        know_plugins(patch)
        suite = make_suite()
        for run in suite.runs.values():
            write_run(run, results)
        collect.write(suite, results)
    return results


def know_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer for every plugin name."""
    monkeypatch.setattr(registry, "resolve", lambda group, name, options: options)
    monkeypatch.setattr(facts, "refusal", lambda spec: None)
    monkeypatch.setattr(facts, "learns_scales", lambda spec: True)
    monkeypatch.setattr(facts, "dataset_facts", lambda name, options: FACTS)
    monkeypatch.setattr(facts, "card", make_card)
    monkeypatch.setattr(facts, "first_last_bits", lambda spec: None)
    monkeypatch.setattr(facts, "storage", lambda spec: make_card(spec.method.name)["storage"])
    monkeypatch.setattr(facts, "sliced", lambda spec: ())
    monkeypatch.setattr(facts, "search_facts", make_search_facts)


def make_card(name: str) -> dict[str, Any]:
    """Return a made-up card: all but ``double-rounding`` are built from publications alone."""
    follows_code = name == "double-rounding"
    ours = dict.fromkeys(("double-rounding-unshared", "hasb"), "huang2025nearly")
    sources = {**ours, "adabits": "jin2020adabits"}
    return {
        "title": name.replace("-", " ").title(),
        "source": "huang2025nearly" if follows_code else sources.get(name, f"{name}2020"),
        "fidelity": "vectors" if follows_code else "equations",
        "storage": "codes" if follows_code else "floats",
        "licence": "MIT",
        "left_open": "The initial scale is not given.",
        "deviations": "" if follows_code else "None of its bugs.",
        "missing": "",
        "published_recipes": {
            "cifar10": {"training": {"epochs": 200, "milestones": [0.5]}, "options": {}}
        },
    }


SCORED, STOCHASTIC = ("ilp", "sort", "hawq-v2", "limpq"), ("random", "genetic", "haq", "dnas")
"""Searches that read scores, and that draw."""


def make_search_facts(name: str, options: dict[str, Any]) -> dict[str, bool]:
    """Return what a search needs."""
    scored = name in SCORED and options.get("by") != "weights"
    return {"scored": scored, "evaluates": False, "stochastic": name in STOCHASTIC}


def make_suite(**changes: Any) -> Suite:
    """Return a small suite; ``changes`` replace its keys."""
    network = {"title": "ResNet-20", "published": "resnet20", **NETWORK}
    content = {
        "name": "tiny",
        "title": "synthetic",
        "data": "embedded",
        "seeds": [0, 1, 2],
        "networks": {"resnet20": network},
        "experiments": EXPERIMENTS,
    }
    return Suite.model_validate(content | changes)


def make_shared(name: str, *networks: str, **changes: Any) -> Suite:
    """Return a suite at published scale with one shared experiment on ``networks``."""
    experiment = SHARED[name] | {"networks": networks or tuple(PUBLISHED_NETWORKS)} | changes
    return make_suite(data="published", networks=PUBLISHED_NETWORKS, experiments={name: experiment})


@pytest.fixture
def suite(known_plugins: None) -> Suite:
    return make_suite()


@pytest.fixture
def published_suite(known_plugins: None) -> Suite:
    """The same suite as if it had been run on CIFAR-10."""
    network = {"title": "ResNet-20", "published": "resnet20", **NETWORK, "dataset": "cifar10"}
    return make_suite(data="published", networks={"resnet20": network})


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def folder(all_results: Path, results: Path) -> Path:
    """Collected tables of a suite whose runs all went well, to be changed."""
    shutil.copytree(all_results, results)
    return results / "tiny"


def alrs_of(run: RunSpec) -> str:
    """Return the variant of ALRS of a run, or ``off``."""
    return run.training.alrs.variant if run.training.alrs else "off"


def top1_of(run: RunSpec, bits: int) -> float:
    """Return a made-up accuracy, percent, on the grid of 1000 images."""
    drop = {2: 4.0, 3: 1.5, 4: 1.0}.get(bits, 0.2)
    gain = {"off": 0.0, "literal": -40.0}.get(alrs_of(run), 0.3)
    noise = np.random.default_rng([run.seed, bits, len(run.bitset)]).normal(0, 0.2)
    return round(max(9.8, 95 - drop + gain + noise), 1)


def write_run(
    run: RunSpec, results: Path, top1: dict[int, float] | None = None, **changes: Any
) -> Path:
    """Write the directory of a finished run.

    Args:
        run: Finished.
        results: Folder of all results.
        top1: Test accuracies, percent, by bit-width, where they are not made up.
        changes: Replace keys of ``result.json``.
    """
    folder = results / "runs" / run.run_id
    folder.mkdir(parents=True)
    result = _result(run) | changes
    (folder / "provenance.json").write_text(json.dumps(PROVENANCE))
    diverged = result["status"] == "diverged"
    metrics = [] if diverged else _metrics(run, top1 or {})
    _write_lines(folder / "metrics.jsonl", metrics)
    write_lines(folder / "correct.jsonl", _correct(metrics, run.seed))
    _write_lines(folder / "train.jsonl", [_epoch(run, n) for n in range(run.training.epochs)])
    seal(folder, result)
    return folder


def seal(folder: Path, result: dict[str, Any] | None = None) -> None:
    """Write ``result.json``, whose checksums fit what is in ``folder`` now.

    Args:
        folder: Of a job.
        result: What it says; None: what it has said before.
    """
    path = folder / "result.json"
    content = json.loads(path.read_text()) if result is None else result
    files = [one.relative_to(folder) for one in folder.rglob("*") if one.is_file() and one != path]
    write_result(folder, content, map(str, files))


PROVENANCE = {
    "bitswitch_version": "0.1.0",
    "commit": "0123456789abcdef",
    "code_hash": "c0de",
    "python": "3.11.2",
    "torch": "2.15.0",
    "torchvision": "0.29.2",
    "device": "cpu",
    "device_name": "Xeon",
    "instructions": "AVX2",
    "threads": 1,
    "platform": "Linux",
    "started": "2026-01-01T00:00:00+00:00",
    "finished": "2026-01-01T00:01:00+00:00",
}


def _write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _result(run: RunSpec) -> dict[str, Any]:
    negative = {"literal": 0.7}.get(alrs_of(run), 0.0)
    return {
        "run_id": run.run_id,
        "status": "complete",
        "diagnosis": None,
        "steps": 56 * run.training.epochs,
        "epochs": run.training.epochs,
        "train_time_s": 30.0 * len(run.bitset) ** 0.9 + run.seed,
        "time_kind": "cpu",
        "evaluate_time_s": 2.0,
        "other_time_s": 1.0,
        "wall_time_s": 30.0 * len(run.bitset) + 3,
        "peak_memory_mib": 600.0,
        "parameters": 270000,
        "threads": 1,
        "device_name": "Xeon",
        "negative_share": {} if run.is_float else {str(b): negative for b in run.bitset},
    }


def top1_line(split: str, policy: str, metric: str, value: float) -> dict[str, Any]:
    """Return a line of ``metrics.jsonl`` about an accuracy on 1000 images."""
    line = {"split": split, "policy": policy, "metric": metric, "value": value, "unit": "percent"}
    return line | ({"noise": binomial_noise(value, 1000)} if split == "test" else {})


def _metrics(run: RunSpec, top1: dict[int, float]) -> list[dict[str, Any]]:
    lines = []
    for bits in run.bitset:
        found = top1.get(bits, top1_of(run, bits))
        loss = {"metric": "loss", "value": round(3 - found / 40, 4), "unit": "nats"}
        for split in ("test", "held_out"):
            lines += [top1_line(split, str(bits), "top1", found)]
            lines += [{"split": split, "policy": str(bits)} | loss]
        if run.training.recalibration:
            lines += [top1_line("test", str(bits), "top1_recalibrated", found + 0.4)]
    return lines


def _correct(metrics: list[dict[str, Any]], seed: int) -> list[Correct]:
    """Return which of 1000 images were right, so that their share is what ``metrics`` say."""
    found = []
    for line in metrics:
        if line["split"] == "test" and line["unit"] == "percent":
            right = np.arange(1000) < round(10 * line["value"])
            order = np.random.default_rng([seed, len(found)]).permutation(right)
            found.append(Correct.pack(line["policy"], line["metric"], order.tolist()))
    return found


def _epoch(run: RunSpec, epoch: int) -> dict[str, Any]:
    rng = np.random.default_rng([run.seed, epoch])
    progress = 1 - 0.5 ** (epoch + 1)
    record = {
        "epoch": epoch,
        "steps": 56 * (epoch + 1),
        "learning_rate": 5e-4 * (1 - progress),
        "bits": {str(b): _bits(run, b, progress) for b in run.bitset},
    }
    if run.bitset != (FLOAT_BITS,):
        record["scale_gradients"] = {
            operand: {str(b): _gradients(b, rng) for b in run.bitset}
            for operand in ("weight", "activation")
        }
    return record


def _bits(run: RunSpec, bits: int, progress: float) -> dict[str, float]:
    top1 = top1_of(run, bits) * progress
    curve = {"loss": 3 - top1 / 40, "top1": top1, "held_out_loss": 3.1 - top1 / 40}
    if run.is_float:
        return curve | {"held_out_top1": top1 - 0.5}
    return curve | {
        "held_out_top1": top1 - 0.5,
        "scale_learning_rate": 1e-4,
        "negative_share": 0.7 if alrs_of(run) == "literal" else 0.0,
        "mean_gradient": 2.0**-bits,
    }


def _gradients(bits: int, rng: np.random.Generator) -> dict[str, dict[str, float]]:
    level = 0.02 * 3.0 ** (8 - bits)
    return {
        layer: {
            "mean_abs": float(level * rng.lognormal(0, 0.3)),
            "std": float(level * 0.4),
            "max_abs": float(level * 4),
        }
        for layer in LAYERS
    }
