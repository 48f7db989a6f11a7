import json

import pytest

from bitswitch.errors import BitWidthError
from bitswitch.planning import plan, probe
from bitswitch.planning.schedule import simulate, waiting
from bitswitch.runtime import cache
from bitswitch.suite.suite import load_suite, suite_path


@pytest.fixture(autouse=True)
def measured(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FOLDER", tmp_path)
    monkeypatch.setattr(probe, "measure_step", lambda run, device: 0.25)


ON_TEXT = {"rtn", "gptq", "matgptq", "any-precision-llm"}
"""Methods of language models that take no step."""


@pytest.mark.parametrize("name", ["smoke", "mini", "cifar10", "paper"])
def test_every_shipped_suite_is_costed(name):
    suite = load_suite(suite_path(name))
    made = plan.make(suite, "cpu")
    assert set(made.runs) == set(suite.runs)
    assert set(made.parts) == set(suite.experiments)
    assert all(min(cost[1:]) > 0 for cost in made.runs.values())
    untrained = {suite.runs[key].method.name for key, cost in made.runs.items() if not cost.steps}
    texts = any(run.model.name.startswith("llama") for run in suite.runs.values())
    transformers = any(run.model.name == "timm" for run in suite.runs.values())
    expected = {*(ON_TEXT if texts else ()), *(["quept"] if transformers else ())}
    assert untrained == expected | {"ptmq", "zero-step"}


def test_a_run_of_several_tables_is_counted_once():
    made = plan.make(load_suite(suite_path("mini")), "cpu")
    assert sum(part.cost.steps for part in made.parts.values()) > made.total.steps
    assert made.total.steps == sum(cost.steps for cost in made.runs.values())
    assert any(part.shared for part in made.parts.values())


def test_of_a_claim_only_what_it_needs_is_planned(bitswitch, tmp_path):
    training = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-3, "weight_decay": 0.0}
    data = {"name": "digits", "options": {"size": 8, "train": 48, "held_out": 20, "test": 20}}
    net = {"title": "Net", "published": "none", "model": "resnet8", "dataset": data}
    net |= {"bitsets": [[8, 4]], "float_training": training, "training": training}
    variants = {name: {"title": name, "method": name} for name in ("adabits", "double-rounding")}
    sides = zip(("left", "right"), variants, strict=True)
    claim = {side: {"experiment": "one", "variants": [name]} for side, name in sides}
    claim |= {"source": "a talk", "statement": "it is better", "kind": "direction"}
    suite = {
        "name": "own",
        "title": "Own",
        "data": "embedded",
        "seeds": [0],
        "networks": {"n": net},
    }
    one = {"title": "One", "networks": ["n"], "variants": variants}
    two = one | {"title": "Two", "variants": {"dorefa": {"title": "DoReFa", "method": "dorefa"}}}
    path = tmp_path / "own.yaml"
    whole = suite | {"experiments": {"one": one, "two": two}, "claims": {"mine": claim}}
    path.write_text(json.dumps(whole))
    code, out, _ = bitswitch("plan", path, "--claims", "mine", "--device", "cpu", "--json")
    assert code == 0
    made = json.loads(out)
    assert set(made["parts"]) == {"one"}
    assert len(made["runs"]) == 3
    cells = ("--cells", "two/n,one/n/adabits", "--device", "cpu", "--json")
    code, out, _ = bitswitch("plan", path, *cells)
    assert code == 0
    assert set(json.loads(out)["parts"]) == {"one", "two"}
    assert len(json.loads(out)["runs"]) == 3
    code, _, messages = bitswitch("plan", path, "--claims", "min")
    assert code != 0
    assert "There is no claim 'min' about suite 'own'. Did you mean 'mine'?" in messages


def test_shared_starts_are_counted():
    suite = load_suite(suite_path("mini"))
    made = plan.make(suite, "cpu")
    assert sum(made.starts.values()) == sum(run.start is not None for run in suite.runs.values())


def test_the_plan_is_json_and_its_jobs_wait_as_the_rules_say():
    suite = load_suite(suite_path("smoke"))
    made = plan.make(suite, "cpu")
    content = json.loads(json.dumps(made.as_json()))
    assert content["wall_time_s"] == made.schedule.time_s >= made.schedule.longest_s
    jobs = waiting(suite, *_times(made))
    assert len(jobs) == sum(map(len, _times(made)))
    assert {need for job in jobs.values() for need in job.needs} <= set(jobs)
    guided = next(run for run in suite.runs.values() if run.sensitivity)
    needs = jobs[f"train {guided.run_id}"].needs
    assert needs[-1] == f"score {guided.sensitivity.identifier}"


def test_the_text_names_tables_totals_and_assumptions():
    made = plan.make(load_suite(suite_path("paper")), "cpu")
    text = plan.render(made)
    for part in made.parts.values():
        assert part.title in text
    assert "each run once" in text
    runs = load_suite(suite_path("paper")).runs
    starts = [run.start.run_id for run in runs.values() if run.start]
    begun_from = len(set(starts) & runs.keys())
    assert f"runs that start from another: {len(starts)}, from {begun_from} networks" in text
    assert "without the making of data, tables and report" in text
    assert "GPU hours" not in text
    assert "hours of a GPU that is not here: the same command with --assume and one of t4" in text
    assert "h100" in text
    assert "resnet50 on imagenet" in text


def test_on_a_gpu_nothing_is_assumed(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    text = plan.render(plan.make(load_suite(suite_path("cifar10")), "cuda"))
    assert "assumed" not in text
    assert "few images" not in text


NETWORK = """
name: small
title: small
data: embedded
seeds: [0]
networks:
  net:
    title: Net
    published: none
    model: resnet8
    dataset: digits
    bitsets: [[8, 4]]
    float_training: {epochs: 4, batch_size: 64, learning_rate: 0.0005}
    training: {epochs: 4, batch_size: 64, learning_rate: 0.0005}
"""
SMALL = f"""{NETWORK}experiments:
  one: {{title: One, networks: [net], variants: {{a: {{title: a, deploy: true}}}}}}
  two: {{title: Two, networks: [net], variants: {{b: {{title: b, method: dorefa}}}}}}
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A suite of two tables, on a machine without a GPU that must not be measured."""

    def measure(run, device):
        raise AssertionError(run)

    monkeypatch.setattr(probe, "measure_step", measure)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


WAYS = ["eager", "captured", "eager_shared", "captured_shared"]


def test_hours_of_a_gpu_that_is_not_here_are_modelled_per_table_and_in_total(small, bitswitch):
    code, out, _ = bitswitch("plan", small, "--device", "cuda", "--assume", "h100", "--json")
    assert code == 0
    made = json.loads(out)
    hours = made["gpu_hours"]
    assert hours["device"] == "h100"
    assert hours["runs_per_gpu"] == 4
    assert set(hours["parts"]) == {"one", "two"}
    assert set(hours["jobs"]) == {*made["runs"], *(f"deploy {run}" for run in made["deployments"])}
    for line in (hours["total"], *hours["parts"].values(), *hours["jobs"].values()):
        eager, captured, eager_shared, captured_shared = (line[way] for way in WAYS)
        assert eager > eager_shared >= captured_shared > 0
        assert captured <= eager
        assert line["bound"]["eager"] == "launches"
        assert line["sources"]["eager"] == ["roofline of NVIDIA H100 SXM5 80 GB"]
    assert hours["total"]["captured"] < hours["total"]["eager"]
    for way in WAYS:
        assert hours["total"][way] == pytest.approx(sum(one[way] for one in hours["jobs"].values()))
    # What was there before is there still, and says the same.
    assert made["total"]["gpu_time_s"] / 3600 == pytest.approx(hours["total"]["eager"])
    assert made["parts"]["one"]["cost"]["time_s"] / 3600 == pytest.approx(
        hours["parts"]["one"]["eager"]
    )
    assert (made["device"], made["slots"]) == ("cuda", 1)


def test_a_gpu_is_assumed_where_none_is_named_and_the_text_says_what_it_goes_by(small, bitswitch):
    code, out, _ = bitswitch("plan", small, "--device", "cuda", "--runs-per-gpu", "3")
    assert code == 0
    head, one, *_ = out.splitlines()
    assert head.split()[5:12] == ["hours", "eager", "captured", "eager", "x3", "captured", "x3"]
    assert one.startswith("One")
    assert "launches, " in one
    assert "roofline" in one
    assert "a model of NVIDIA H100 SXM5 80 GB; nothing was measured here" in out
    assert "https://resources.nvidia.com/" in out


def test_a_device_that_is_not_known_or_contradicts_is_refused(small, bitswitch):
    code, _, messages = bitswitch("plan", small, "--assume", "h1000")
    assert code == 6
    assert "Nothing is known of a device 'h1000'. Did you mean 'h100'?" in messages
    code, _, messages = bitswitch("plan", small, "--assume", "h100", "--device", "cpu")
    assert code == 6
    assert "--assume h100 is a GPU, and --device cpu is none." in messages


def test_what_is_measured_here_has_no_modelled_hours(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    assert plan.make(load_suite(path), "cpu").as_json()["gpu_hours"] is None


def test_the_time_counts_that_jobs_wait_for_each_other(tmp_path):
    """Three runs on one start: two at once need as long as start, one pair, and a third."""
    path = tmp_path / "small.yaml"
    path.write_text(
        f"""{NETWORK}experiments:
  one:
    title: One
    networks: [net]
    variants:
      a: {{title: a, deploy: true}}
      b: {{title: b, learning_rate_factor: 2}}
      c: {{title: c, learning_rate_factor: 3}}
"""
    )
    made = plan.make(load_suite(path), "cpu")
    (start,) = made.starts
    variant, *others = (cost.time_s for key, cost in made.runs.items() if key != start)
    assert others == pytest.approx([variant, variant])
    (deployment,) = made.deployments.values()
    two = simulate(waiting(load_suite(path), *_times(made)), 2)
    first = made.runs[start].time_s
    assert two.time_s == pytest.approx(first + 2 * variant)
    assert two.longest_s == pytest.approx(first + variant + deployment.time_s)
    assert [name.split()[0] for name in two.chain] == ["train", "train", "deploy"]
    assert made.total.time_s / 2 < two.time_s
    assert ", then deploy double-rounding-" in plan.render(made)


def _times(made):
    kinds = made.runs, made.sensitivities, made.searches, made.deployments
    return [{key: cost.time_s for key, cost in kind.items()} for kind in kinds]


BEIT = """
name: beit
title: BEiT
data: embedded
seeds: [0]
networks:
  beit:
    title: BEiT
    published: none
    model:
      name: timm
      options:
        architecture: beit_base_patch16_224
        arguments: {img_size: 32, patch_size: 16, depth: 2, embed_dim: 24, num_heads: 3}
    dataset: {name: digits, options: {size: 32, train: 64, held_out: 20, test: 40}}
    bitsets: [[8, 4]]
    training: {epochs: 1, batch_size: 16, learning_rate: 0.0005}
experiments:
  mine: {title: mine, networks: [beit], variants: {only: {title: only}}}
"""


def test_layers_that_cannot_be_quantized_stop_the_plan_until_they_are_kept(tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_text(BEIT)
    with pytest.raises(BitWidthError, match=r'keep: \["blocks\.\*\.attn\.qkv"\]'):
        plan.make(load_suite(path), "cpu")
    path.write_text(BEIT.replace("    training:", '    keep: ["blocks.*.attn.qkv"]\n    training:'))
    notes = plan.make(load_suite(path), "cpu").notes
    assert any("'blocks.0.attn.qkv' and 1 more stay at full precision" in note for note in notes)
