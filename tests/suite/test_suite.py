from pathlib import Path

import pytest
import yaml

from bitswitch.contracts.card import Recipe
from bitswitch.errors import SpecError, UnknownPluginError
from bitswitch.methods.double_rounding import DoubleRounding
from bitswitch.suite.suite import called, load_suite, suite_path

SUITES = sorted(Path("config/suites").glob("*.yaml"))

CONTENT = {
    "name": "small",
    "title": "a small suite",
    "data": "embedded",
    "seeds": [0, 1],
    "networks": {
        "net": {
            "title": "Net",
            "published": "none",
            "model": "resnet8",
            "dataset": "digits",
            "bitsets": [[8, 4]],
            "float_training": {"epochs": 2, "batch_size": 64, "learning_rate": 5e-4},
            "training": {"epochs": 3, "batch_size": 64, "learning_rate": 5e-4},
        }
    },
    "experiments": {
        "one": {"title": "One", "networks": ["net"], "variants": {"only": {"title": "only"}}},
    },
}


@pytest.fixture
def write(tmp_path):
    def write(**changes):
        path = tmp_path / "config" / "suites" / "small.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump({**CONTENT, **changes}))
        return path

    return write


BUDGETS = [{"cost": "average-bits", "at_most": 4}]


def with_experiment(**changes):
    return {"experiments": {"one": CONTENT["experiments"]["one"] | changes}}


def with_variant(**variant):
    experiment = {
        **CONTENT["experiments"]["one"],
        "variants": {"only": {"title": "only", **variant}},
    }
    return {"experiments": {"one": experiment}}


def with_network(**network):
    return {"networks": {"net": {**CONTENT["networks"]["net"], **network}}}


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_every_shipped_suite_expands(path):
    suite = load_suite(path)
    assert suite.name == path.stem
    assert {cell.run.run_id for cell in suite.cells if not cell.skipped} <= set(suite.runs)
    for run in suite.runs.values():
        assert run.start is None or run.start.run_id in suite.runs


def test_one_run_per_seed_and_one_start_each(write):
    suite = load_suite(write())
    assert len(suite.cells) == 2
    assert [run.is_float for run in suite.runs.values()] == [True, True, False, False]


def test_titles_do_not_change_a_run(write):
    before = load_suite(write()).runs
    assert load_suite(write(title="another", **with_network(title="another"))).runs == before


def test_one_changed_value_changes_only_the_runs_that_use_it(write):
    before = load_suite(write()).runs
    changed = load_suite(write(**with_variant(training={"learning_rate": 0.1}))).runs
    assert {run.method.name for key, run in changed.items() if key in before} == {"float32"}
    assert {run.method.name for key, run in changed.items() if key not in before} == {
        "double-rounding"
    }


def test_a_changed_start_changes_what_starts_from_it(write):
    before = load_suite(write()).runs
    longer = with_network(float_training={"epochs": 4, "batch_size": 64, "learning_rate": 5e-4})
    assert not set(load_suite(write(**longer)).runs) & set(before)


def test_spelling_out_a_default_does_not_change_a_run(write):
    before = load_suite(write()).runs
    spelled = with_network(model={"name": "resnet8", "options": {"form": "preactivation"}})
    assert load_suite(write(**spelled)).runs == before


def test_suites_share_runs_of_the_same_content():
    *parts, paper = (load_suite(suite_path(name)) for name in ("cifar10", "tinyllama", "paper"))
    assert all(part.runs and set(part.runs) <= set(paper.runs) for part in parts)


def test_a_variant_changes_epochs_rate_and_recipe(write):
    variant = {
        "epochs_factor": 4 / 3,
        "learning_rate_factor": 2,
        "training": {"update": "separate", "alrs": {"variant": "clamped"}},
    }
    run = load_suite(write(**with_variant(**variant))).cells[0].run
    assert run.training.epochs == 4
    assert run.training.learning_rate == pytest.approx(1e-3)
    assert run.training.alrs.variant == "clamped"
    assert run.start.training.alrs is None
    assert run.start.training.epochs == 2


def test_shared_experiments_are_laid_under_the_suite(write, tmp_path):
    path = write(experiments={"one": {"networks": ["net"]}})
    shared = {"one": {"title": "Shared", "variants": {"a": {"title": "a"}}}}
    (tmp_path / "config" / "experiments.yaml").write_text(yaml.safe_dump(shared))
    assert load_suite(path).experiments["one"].title == "Shared"


def test_a_path_ends_in_yaml():
    assert suite_path("mini") == Path("config/suites/mini.yaml")
    assert suite_path("my/own.yaml") == Path("my/own.yaml")


BAD = {
    "unknown key": ({"sedes": [0]}, "Did you mean 'seeds'?"),
    "images of a search": (
        with_variant(search={"search": "uniform", "images": 9}),
        "images: unknown key. It is called 'examples' now",
    ),
    "images of scores": (
        with_variant(scores=[{"sensitivity": "uniform", "images": 9}]),
        "images: unknown key. It is called 'examples' now",
    ),
    "a key of before": ({"experiments": {"one": {"arms": {}}}}, "called 'variants' now"),
    "a value of before": (with_variant(preset="faithful"), "called 'published-recipe' now"),
    "an option of before": (
        with_variant(method={"name": "double-rounding", "options": {"edge_bits": 8}}),
        "called 'first_last_bits' now",
    ),
    "unknown recipe key": (with_variant(training={"epoch": 3}), "Did you mean 'epochs'?"),
    "unknown variant of ALRS": (
        with_variant(training={"alrs": {"variant": "relativ"}}),
        "Did you mean 'relative'?",
    ),
    "unknown network": (
        {"experiments": {"one": {**CONTENT["experiments"]["one"], "networks": ["nett"]}}},
        "Did you mean 'net'?",
    ),
    "unknown option": (
        with_network(model={"name": "resnet8", "options": {"from": "original"}}),
        "Did you mean 'form'?",
    ),
    "option out of range": (
        with_network(model={"name": "resnet8", "options": {"form": "other"}}),
        "'original' or 'preactivation'",
    ),
    "bit-width too small": (with_variant(bitsets=[[8, 1]]), "greater than or equal to 2"),
    "bit-width too large": (with_variant(bitsets=[[16, 8]]), "integer bit-widths are 2 to 8"),
    "bit-widths in the wrong order": (with_variant(bitsets=[[2, 8]]), "widest first"),
    "a bit-width twice": (with_variant(bitsets=[[8, 8]]), "distinct"),
    "full precision among others": (with_variant(bitsets=[[32, 8]]), "[32] alone"),
    "float bit set for another method": (
        with_variant(bitsets=[[32]], training={"epochs": 9}),
        None,
    ),
    "a factor is missing": (
        with_variant(training={"update": "separate", "alrs": {"factors": {8: 1.0}}}),
        "no factor for bit-width 4",
    ),
    "experiments as a list": ({"experiments": ["one"]}, "a mapping such as {key: value} is needed"),
    "variants as text": (
        {"experiments": {"one": {**CONTENT["experiments"]["one"], "variants": "all"}}},
        "experiments.one.variants: a mapping such as {key: value} is needed, not 'all'",
    ),
    "a variant as a number": (
        {"experiments": {"one": {**CONTENT["experiments"]["one"], "variants": {"a": 3}}}},
        "experiments.one.variants.a: a mapping",
    ),
    "a number as name": (
        {
            "experiments": {
                "one": {**CONTENT["experiments"]["one"], "variants": {1: {"title": "a"}}}
            }
        },
        'experiments.one.variants: the name 1 is read as a number: write "1" in quotes',
    ),
    "one seed": ({"seeds": 0}, "seeds: write a list: [0]"),
    "a seed twice": ({"seeds": [0, 0, 1]}, "seeds: 0 is there 2 times: write it once"),
    "one bit set": (with_variant(bitsets=[8, 4]), "a list of bit sets is needed: write [[8, 4]]"),
    "a bit set twice": (with_variant(bitsets=[[8, 4], [8, 4]]), "[8, 4] is there 2 times"),
    "a network twice": (
        {"experiments": {"one": {**CONTENT["experiments"]["one"], "networks": ["net", "net"]}}},
        "net is there 2 times",
    ),
    "networks of a variant": (
        with_variant(networks=["nett"]),
        "variants.only.networks: no network 'nett'",
    ),
    "a huge factor": (with_variant(epochs_factor=1e300), "less than or equal to 1000000"),
    "a huge rate": (with_variant(learning_rate_factor=1e300), "less than or equal to 1000000"),
    "many epochs": (
        with_network(training={"epochs": 10**9, "batch_size": 64, "learning_rate": 5e-4}),
        "1000000",
    ),
    "no learning rate": (
        with_network(training={"epochs": 1, "batch_size": 64}),
        "networks.net.training.learning_rate: this key is required",
    ),
    "many unknown keys": ({f"x{n}": n for n in range(2000)}, "and 1990 more"),
    "a key without end": ({"x" * 900_000: 1}, "xxx...: unknown key."),
    "no seeds": ({"seeds": []}, "at least 1 item"),
    "no experiments": ({"experiments": {}}, "at least 1 item"),
    "a name that is no file name": ({"name": "a/b"}, "a name of letters"),
    "unknown table": (
        with_experiment(table="acuracy"),
        "experiments.one.table: no table 'acuracy'. Did you mean 'accuracy'? installed: accuracy, ",
    ),
    "unknown figure": (
        with_experiment(figures=["staircase"]),
        "experiments.one.figures.0: no figure 'staircase'. Did you mean 'staircases'?",
    ),
    "a figure twice": (with_experiment(figures=["draws", "draws"]), "draws is there 2 times"),
    "nothing beside": (
        with_experiment(beside={"experiment": "on", "variant": "only"}),
        "experiments.one.beside: no experiment 'on'. Did you mean 'one'?",
    ),
    "no such variant beside": (
        with_experiment(beside={"experiment": "one", "variant": "ony"}),
        "no variant 'ony' in experiment 'one'. Did you mean 'only'?",
    ),
    "no epochs": (
        with_network(training={"epochs": 0, "batch_size": 64, "learning_rate": 5e-4}),
        "greater than 0",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD)
def test_bad_suites_are_refused_with_the_nearest_choice(write, changes, message):
    if message is None:
        assert load_suite(write(**changes)).cells[0].run.method.name == "float32"
        return
    with pytest.raises(SpecError, match=r"(?s).*") as caught:
        load_suite(write(**changes))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "near"),
    [
        (with_variant(method="double-roundin"), "double-rounding"),
        (with_network(model="resnet21"), "resnet20"),
        (with_network(dataset="digit"), "digits"),
    ],
)
def test_unknown_plugins_are_refused_with_the_nearest_name(write, changes, near):
    with pytest.raises(UnknownPluginError, match=f"Did you mean '{near}'"):
        load_suite(write(**changes))


def test_float32_takes_no_integer_bit_widths(write):
    with pytest.raises(SpecError, match="'float32' takes"):
        load_suite(write(**with_variant(method="float32")))


@pytest.mark.parametrize("text", ["- a list", "a: [", "", "\x00"])
def test_a_file_that_holds_no_suite_is_refused(tmp_path, text):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=r"broken\.yaml"):
        load_suite(path)


def test_a_missing_file_is_refused_with_the_nearest_name(write):
    path = write()
    with pytest.raises(SpecError, match="Did you mean 'small'"):
        load_suite(path.with_stem("smal"))


def test_a_skipped_cell_has_no_run(write, monkeypatch):
    from bitswitch.plugins import facts

    monkeypatch.setattr(facts, "refusal", lambda run: "too big" if 2 in run.bitset else None)
    suite = load_suite(write(**with_network(bitsets=[[8, 4], [8, 2]]), seeds=[0]))
    assert [cell.skipped for cell in suite.cells] == [None, "too big"]
    assert {run.bitset for run in suite.runs.values()} == {(32,), (8, 4)}


def test_a_suite_anywhere_may_name_shared_experiments(tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    suite = (Path("config/suites/smoke.yaml")).read_text()
    mine = tmp_path / "mine.yaml"
    mine.write_text(suite)
    assert load_suite(mine).runs == load_suite(Path("config/suites/smoke.yaml")).runs
    mine.write_text(suite.replace("  epoch-matched:", "  epoch-matchd:"))
    with pytest.raises(
        SpecError, match=r"no shared experiment 'epoch-matchd'\. Did you mean 'epoch-matched'"
    ):
        load_suite(mine)


def test_a_variant_may_train_one_network_per_bit_width(write):
    suite = load_suite(write(**with_variant(one_network_per_bitwidth=True)))
    assert [(cell.bitset, cell.run.bitset) for cell in suite.cells if cell.seed == 0] == [
        ((8, 4), (8,)),
        ((8, 4), (4,)),
    ]


def with_variants(**variants):
    one = CONTENT["experiments"]["one"]
    both = {
        **one["variants"],
        **{name: {"title": name, **variant} for name, variant in variants.items()},
    }
    return {"experiments": {"one": {**one, "variants": both}}}


def test_a_variant_that_nobody_can_run_has_no_cells(write):
    suite = load_suite(write(**with_variants(other={"not_run": "no code"})))
    assert {cell.variant for cell in suite.cells} == {"only"}


def test_scores_may_be_those_of_a_network_trained_for_them(write):
    other = {"method": "limpq", "training": {"epochs": 1}}
    variant = {"start": {}, "scores": [{"sensitivity": "step-size", "of": other}]}
    suite = load_suite(write(**with_variant(**variant)))
    (score,) = suite.cells[0].scores
    assert score.epoch is None
    assert score.run.method.name == "limpq"
    assert score.run.start.is_float
    assert score.run.run_id in suite.runs


def test_a_variant_may_leave_networks_out(write):
    networks = {**CONTENT["networks"], "second": CONTENT["networks"]["net"]}
    suite = load_suite(write(networks=networks, **with_variants(other={"networks": ["second"]})))
    assert {cell.variant for cell in suite.cells} == {"only"}


def test_an_experiment_may_take_other_bit_widths_on_one_network(write):
    experiments = with_variant()["experiments"]
    experiments["one"]["network_bitsets"] = {"net": [[4, 2]]}
    suite = load_suite(write(experiments=experiments))
    assert {cell.bitset for cell in suite.cells} == {(4, 2)}
    experiments["one"]["network_bitsets"] = {"nett": [[4, 2]]}
    with pytest.raises(SpecError, match=r"no network 'nett'\. Did you mean 'net'"):
        load_suite(write(experiments=experiments))


def test_off_and_no_are_words(write):
    path = write(**with_variants(no={"title": "off"}))
    path.write_text(path.read_text().replace("'off'", "off").replace("'no':", "no:"))
    assert "title: off" in path.read_text()
    assert "no:" in path.read_text()
    assert load_suite(path).experiments["one"].variants["no"].title == "off"


def test_a_suite_with_no_run_is_refused(write):
    with pytest.raises(SpecError, match="no run is left: no variant has one"):
        load_suite(write(**with_variant(not_run="no code")))


@pytest.mark.parametrize("changes", [["a"], "a", 3, True, {"title": "x"}])
def test_an_experiment_that_is_no_mapping_or_lacks_variants_is_refused(write, changes):
    with pytest.raises(SpecError, match=r"experiments\.one|no shared experiment 'one'"):
        load_suite(write(experiments={"one": changes}))


def test_a_suite_too_large_to_expand_is_refused(write, monkeypatch):
    monkeypatch.setattr("bitswitch.suite.suite.MOST_ENTRIES", 20)
    with pytest.raises(SpecError, match=r"make 30 table entries.*more than 20"):
        load_suite(write(seeds=list(range(30))))


@pytest.fixture
def recipes(monkeypatch):
    published = Recipe(
        training={"epochs": 90, "batch_size": 256, "optimizer": "sgd", "learning_rate": 0.1},
        options={"weight_granularity": "per-channel"},
    )
    monkeypatch.setattr(DoubleRounding, "published_recipes", {"cifar10": published})
    monkeypatch.setattr("bitswitch.plugins.facts.remembered", lambda group, key, make: make())


def test_the_preset_takes_the_published_recipe(write, recipes):
    published_recipes = {"preset": "published-recipe", "training": {"momentum": 0.5}}
    content = {**with_network(recipe="cifar10"), **with_variant(**published_recipes)}
    embedded = load_suite(write(**content)).cells[0].run
    assert embedded.method.options["weight_granularity"] == "per-channel"
    assert embedded.training.optimizer == "sgd"
    assert (embedded.training.learning_rate, embedded.training.momentum) == (0.1, 0.5)
    assert (embedded.training.epochs, embedded.training.batch_size) == (3, 64)
    full = load_suite(write(**content, data="published")).cells[0].run
    assert (full.training.epochs, full.training.batch_size) == (90, 256)


def test_a_recipe_that_is_not_published_leaves_a_reason(write, recipes):
    suite = load_suite(write(**with_variants(other={"preset": "published-recipe"})))
    skipped = {cell.skipped for cell in suite.cells if cell.variant == "other"}
    assert skipped == {"no recipe is published for digits"}
    with pytest.raises(SpecError, match=r"(?s)no run is left.*2 entries: no recipe is published"):
        load_suite(write(**with_variant(preset="published-recipe")))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"milestones": [0.5]}, "belong to training.schedule 'step'"),
        ({"schedule": "step"}, "belong to training.schedule 'step'"),
        ({"warmup_epochs": 3}, "must be less than training.epochs 3"),
    ],
)
def test_half_a_schedule_is_refused(write, changes, text):
    with pytest.raises(SpecError, match=text):
        load_suite(write(**with_variant(training=changes)))


def test_variants_that_deploy_do_so_once_per_run(write):
    suite = load_suite(write(**with_variant(deploy=True)))
    assert list(suite.deployments) == [key for key, run in suite.runs.items() if not run.is_float]
    assert load_suite(write()).deployments == {}


def test_to_deploy_changes_no_run(write):
    assert load_suite(write(**with_variant(deploy=True))).runs == load_suite(write()).runs


def test_methods_that_need_float_weights_are_not_deployed(write):
    with pytest.raises(SpecError, match=r"variants\.only on net: method 'lsq' cannot be deployed"):
        load_suite(write(**with_variant(deploy=True, method="lsq")))
    single = {"name": "double-rounding", "options": {"rounding": "single"}}
    with pytest.raises(SpecError, match="cannot be deployed: with its options"):
        load_suite(write(**with_variant(deploy=True, method=single)))
    with pytest.raises(SpecError, match="cannot be deployed: it changes the network"):
        load_suite(write(**with_variant(deploy=True, method="mbquant")))


@pytest.mark.parametrize(
    ("search", "text"),
    [
        ({"search": "ilp"}, "'ilp' reads scores. Name a sensitivity"),
        ({"search": "random"}, "'random' evaluates policies .* search.evaluations"),
    ],
)
def test_a_search_needs_what_it_reads(write, search, text):
    with pytest.raises(SpecError, match=text):
        load_suite(write(**with_variant(search={**search, "budgets": BUDGETS})))


@pytest.mark.parametrize(("search", "scorings"), [("ilp", 2), ("uniform", 0)])
def test_scores_that_no_search_reads_are_not_computed(write, search, scorings):
    shared = {"scores": {"sensitivity": "quantization-error"}, "budgets": BUDGETS}
    suite = load_suite(write(**with_variant(search={"search": search, **shared})))
    assert len(suite.sensitivities) == scorings
    assert len(suite.searches) == len(CONTENT["seeds"])


def test_layers_that_a_network_keeps_float_reach_all_that_is_quantized(write):
    search = {
        "search": "ilp",
        "scores": {"sensitivity": "quantization-error"},
        "budgets": BUDGETS,
    }
    content = with_network(keep=["stages.0.*"]) | with_variant(search=search)
    suite = load_suite(write(**content))
    kept = {run.method.name: run.keep for run in suite.runs.values()}
    assert kept == {"float32": (), "double-rounding": ("stages.0.*",)}
    scored = [spec.run.keep for spec in suite.sensitivities.values()]
    searched = [spec.run.keep for spec in suite.searches.values()]
    assert {*scored, *searched} == {("stages.0.*",)}
    starts = {run.start.run_id for run in suite.runs.values() if run.start}
    before = load_suite(write(**with_variant(search=search)))
    assert starts == {run.run_id for run in before.runs.values() if run.is_float}


def test_commands_call_a_suite_by_its_name_or_by_its_path(write, tmp_path, monkeypatch):
    assert called(Path("config/suites/mini.yaml")) == "mini"
    assert called(Path("config/suites/mini.yaml").resolve()) == "mini"
    own = write(name="mini")
    namesake = own.rename(own.with_name("mini.yaml"))
    assert called(namesake) == str(namesake)
    monkeypatch.chdir(namesake.parent)
    assert called(namesake) == "mini.yaml"
    monkeypatch.chdir(tmp_path)
    assert called(namesake) == "mini"
