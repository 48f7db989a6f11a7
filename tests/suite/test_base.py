"""A suite that is based on another one, and one at a small scale."""

import pytest
import yaml

from bitswitch.errors import SpecError
from bitswitch.suite.suite import load_suite
from tests.suite.test_suite import BUDGETS, CONTENT, with_variant

SEARCHED = {
    "search": {
        "search": "greedy",
        "budgets": BUDGETS,
        "evaluations": 256,
        "retraining": {"epochs": 9},
    }
}


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / "config" / "suites" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def based(**changes):
    return {"base": "small", "name": "own", "title": "based on it", **changes}


def test_what_a_suite_says_is_laid_over_its_base(write):
    base = write("small", CONTENT)
    path = write("own", based(seeds=[3], networks={"net": {"training": {"epochs": 1}}}))
    suite, other = load_suite(path), load_suite(base)
    assert (suite.name, suite.title, suite.data) == ("own", "based on it", "embedded")
    assert suite.experiments == other.experiments
    assert {run.seed for run in suite.runs.values()} == {3}
    assert suite.networks["net"].training.epochs == 1
    assert suite.networks["net"].float_training == other.networks["net"].float_training
    write("small", CONTENT | {"data": "published"})
    assert load_suite(path).data == "published", "an edited base is read again"


def test_a_list_of_experiments_takes_these_of_the_base_with_their_runs(write):
    one = CONTENT["experiments"]["one"]
    changed = one | {"variants": {"other": {"title": "x", "training": {"update": "separate"}}}}
    base = load_suite(write("small", CONTENT | {"experiments": {"one": one, "two": changed}}))
    suite = load_suite(write("own", based(experiments=["two"])))
    assert suite.experiments == {"two": base.experiments["two"]}
    assert set(suite.runs) < set(base.runs)


def test_a_base_may_have_a_base(write):
    write("small", CONTENT)
    write("middle", based(name="middle", seeds=[7]))
    assert load_suite(write("own", based(base="middle"))).seeds == (7,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (based(base="smal"), "There is no suite 'smal'. Did you mean 'small'?"),
        (based(base=["small"]), "base: the name of a suite is needed, not "),
        (based(base="own"), "base: 'own' is based on this suite"),
        ({"base": "small", "title": "x"}, "name: this key is required"),
        (based(base="list"), "base: 'list' is no suite: it holds no mapping"),
        (based(experiments=["one", "two"]), "its base has no experiment 'two'."),
    ],
)
def test_a_base_that_is_none_is_refused(write, content, message):
    write("small", CONTENT)
    write("list", [1])
    with pytest.raises(SpecError) as error:
        load_suite(write("own", content))
    assert message in str(error.value)


def test_limits_reach_recipes_options_searches_and_defaults_of_plugins(write):
    variant = {
        "method": "kure",
        "training": {"epochs": 5, "warmup_epochs": 3, "snapshots": [2, 4]},
        "scores": [{"sensitivity": "hessian-trace", "of": "trained", "epochs": [0, 2, 4]}],
        **SEARCHED,
    }
    limits = {
        **{"epochs": 2, "epoch": 1, "snapshots": 1, "warmup_epochs": 1, "images": 16},
        **{
            "evaluations": 8,
            "greedy": {"evaluations": 60},
            "kure": {"evaluations": 5, "candidates": 3},
            "examples": 32,
            "max_probes": 4,
        },
    }
    full = load_suite(write("full", {**CONTENT, **with_variant(**variant)}))
    suite = load_suite(write("small", {**CONTENT, **with_variant(**variant), "limits": limits}))
    assert len(suite.cells) == len(full.cells)
    run = next(cell.run for cell in suite.cells)
    assert (run.training.epochs, run.training.warmup_epochs) == (2, 1)
    assert run.training.snapshots == (1,)
    assert run.method.options["images"] == 16 < 512
    assert run.method.options["evaluations"] == 5, "it had no bound"
    assert run.method.options["candidates"] == 3, "specs leave it out at its default"
    assert "candidates" not in next(cell.run.method.options for cell in full.cells)
    assert run.start.training.epochs == 2
    assert {one.epoch for one in suite.sensitivities.values()} == {0, 1, None}
    assert all(one.examples == 32 for one in suite.sensitivities.values())
    assert {one.sensitivity.options["max_probes"] for one in suite.sensitivities.values()} == {4}
    (search,) = {cell.search.evaluations for cell in suite.cells}
    assert search == 60, "a plugin's own limit comes first"
    assert all(cell.search.retraining.epochs == 2 for cell in suite.cells)


def test_searches_whose_seeds_a_limit_makes_the_same_are_one(write):
    search = {"search": "random", "budgets": BUDGETS, "evaluations": 9, "seeds": [0, 1, 2]}
    several = {**CONTENT, **with_variant(search=search)}
    assert len(load_suite(write("small", several)).searches) == 6
    once = load_suite(write("once", several | {"limits": {"seed": 1}}))
    assert len(once.searches) == len(once.cells) == 4
    assert {run.seed for run in once.runs.values()} == {0, 1}


def test_a_suite_without_limits_has_the_runs_that_it_had(write):
    plain = load_suite(write("small", CONTENT))
    assert list(load_suite(write("same", {**CONTENT, "limits": {}})).runs) == list(plain.runs)
    assert "limits" not in plain.model_dump()
