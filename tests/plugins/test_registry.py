from importlib.metadata import EntryPoint

import pytest

from bitswitch.contracts.method import Method
from bitswitch.errors import PluginError, SpecError, UnknownPluginError
from bitswitch.plugins import facts, registry
from bitswitch.runtime import cache


class Picky(Method):
    """Refuses odd seeds."""

    def skip(self, spec):
        return "odd seed" if spec.seed % 2 else None


class Broken(Method):
    def skip(self, spec):
        raise RuntimeError("boom")


NO_PLUGIN = "a string"


@pytest.fixture
def install(monkeypatch, tmp_path):
    """Make entry points that point into this file."""
    monkeypatch.setattr(cache, "FOLDER", tmp_path)

    def install(**names):
        points = {
            name: EntryPoint(name, f"{value}", "bitswitch.methods") for name, value in names.items()
        }
        installed = registry._installed
        monkeypatch.setattr(registry, "_installed", lambda group: {**installed(group), **points})

    return install


def here(name):
    return f"{__name__}:{name}"


@pytest.mark.parametrize("group", registry.GROUPS)
def test_every_builtin_can_be_loaded(group):
    names = registry.names(group)
    assert names == sorted(names)
    for name in names:
        assert registry.load(group, name).source


def test_an_unknown_name_gives_the_nearest():
    with pytest.raises(UnknownPluginError, match="Did you mean 'float32'"):
        registry.load("methods", "float31")
    with pytest.raises(UnknownPluginError, match="Did you mean 'float32'"):
        registry.resolve("methods", "float31", {})


def test_defaults_are_filled_in():
    assert registry.resolve("models", "resnet8", {}) == {"form": "preactivation"}


def test_an_unknown_option_gives_the_nearest():
    with pytest.raises(SpecError, match="Did you mean 'form'"):
        registry.resolve("models", "resnet8", {"frm": "original"})


def test_answers_are_remembered_without_the_plugin(install, monkeypatch):
    install(picky=here("Picky"))
    assert registry.resolve("methods", "picky", {}) == {}
    monkeypatch.setattr(registry, "load", lambda *_: pytest.fail("loaded again"))
    assert registry.resolve("methods", "picky", {}) == {}


def test_answers_are_forgotten_when_the_code_changes(install, monkeypatch):
    install(picky=here("Picky"))
    registry.resolve("methods", "picky", {})
    monkeypatch.setattr(registry, "code_state", lambda module: "edited")
    monkeypatch.setattr(registry, "load", lambda *_: pytest.fail("loaded again"))
    with pytest.raises(pytest.fail.Exception, match="loaded again"):
        registry.resolve("methods", "picky", {})


def test_a_method_can_refuse_a_run(install, tiny_run):
    install(picky=here("Picky"))
    method = tiny_run().method.model_copy(update={"name": "picky", "options": {}})
    runs = [tiny_run(seed=seed).model_copy(update={"method": method}) for seed in (0, 1)]
    assert [facts.refusal(run) for run in runs] == [None, "odd seed"]


def test_a_plugin_that_raises_is_named(install, tiny_run):
    install(broken=here("Broken"))
    method = tiny_run().method.model_copy(update={"name": "broken", "options": {}})
    with pytest.raises(PluginError, match=r"skip\(\) of method 'broken'.*boom"):
        facts.refusal(tiny_run().model_copy(update={"method": method}))


def test_a_plugin_that_cannot_be_imported_is_named(install):
    install(absent="no_such_module:Thing")
    with pytest.raises(PluginError, match=r"'absent'.*cannot be imported: ModuleNotFoundError"):
        registry.load("methods", "absent")


def test_something_else_is_no_plugin(install):
    install(other=here("NO_PLUGIN"))
    with pytest.raises(PluginError, match="must be a subclass"):
        registry.load("methods", "other")


def test_two_packages_cannot_claim_one_name(monkeypatch):
    twins = [EntryPoint("twin", f"package{i}:Thing", "bitswitch.methods") for i in range(2)]
    monkeypatch.setattr(registry, "entry_points", lambda group: twins)
    registry._installed.cache_clear()
    try:
        with pytest.raises(PluginError, match="Two packages claim the plugin 'twin'"):
            registry.names("methods")
    finally:
        registry._installed.cache_clear()


def test_a_dataset_without_a_task_is_named(monkeypatch):
    made = registry.create("datasets", "digits", {})
    monkeypatch.setattr(facts, "create", lambda *_: made)
    monkeypatch.delattr(type(made), "task")
    with pytest.raises(PluginError, match=r"description of dataset 'digits' fails: .*'task'"):
        facts._dataset_facts("digits", {})


def test_a_task_without_a_loss_is_named(monkeypatch):
    made = registry.create("datasets", "digits", {})
    monkeypatch.setattr(facts, "create", lambda *_: made)
    monkeypatch.setattr(made.task, "metrics", made.task.metrics[:1])
    with pytest.raises(PluginError, match=r"dataset 'digits' has the metrics top1: .*'loss'"):
        facts._dataset_facts("digits", {})


def test_dataset_facts_need_no_data():
    found = facts.dataset_facts("imagenet", registry.resolve("datasets", "imagenet", {}))
    assert found["outputs"] == 1000
    assert found["shape"] == [3, 224, 224]
