import ast
import tomllib

import pytest

from bitswitch.errors import SpecError
from bitswitch.scaffold import package
from bitswitch.scaffold.package import GROUPS, TAKEN, class_of, module_of, new_package, rendered
from bitswitch.testing.searches import SEARCH_CHECKS
from bitswitch.testing.sensitivities import SENSITIVITY_CHECKS


def test_the_package_is_whole(tmp_path):
    folder = new_package("method", "my-method2", tmp_path / "new" / "place")
    assert folder == tmp_path / "new" / "place" / "bitswitch-my-method2"
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert written == {
        "README.md",
        "pyproject.toml",
        "bitswitch_my_method2/__init__.py",
        "tests/test_contract.py",
    }
    assert list(folder.parent.iterdir()) == [folder]


def test_its_name_is_everywhere():
    files = rendered("method", "my-method")
    project = tomllib.loads(files["pyproject.toml"])
    assert project["project"]["name"] == "bitswitch-my-method"
    points = project["project"]["entry-points"]["bitswitch.methods"]
    assert points == {"my-method": "bitswitch_my_method:MyMethod"}
    assert project["tool"]["setuptools"]["packages"] == ["bitswitch_my_method"]
    assert "class MyMethod(bs.Method):" in files["bitswitch_my_method/__init__.py"]
    assert 'Subject.of("my-method")' in files["tests/test_contract.py"]
    assert "bitswitch plugins check my-method" in files["README.md"]
    assert not any("{{" in text or "MODULE" in text for text in files.values())


def imported(source):
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    return {alias.name for node in nodes for alias in node.names}


@pytest.mark.parametrize("kind", GROUPS)
def test_no_name_hides_what_the_module_imports(kind):
    names = imported(rendered(kind, "mine")["bitswitch_mine/__init__.py"])
    assert {name.lower() for name in names if name[0].isupper()} == set(TAKEN[kind])


@pytest.mark.parametrize(("kind", "group"), GROUPS.items())
def test_every_kind_of_package_enters_its_group(kind, group):
    files = rendered(kind, "my-own")
    points = tomllib.loads(files["pyproject.toml"])["project"]["entry-points"]
    assert points == {f"bitswitch.{group}": {"my-own": "bitswitch_my_own:MyOwn"}}
    assert f"class MyOwn(bs.{kind.capitalize()}):" in files["bitswitch_my_own/__init__.py"]


@pytest.mark.parametrize(
    ("kind", "checks"), [("sensitivity", SENSITIVITY_CHECKS), ("search", SEARCH_CHECKS)]
)
def test_what_is_written_keeps_its_contract(kind, checks):
    module = {}
    exec(rendered(kind, "mine")["bitswitch_mine/__init__.py"], module)
    cls = module["Mine"]
    for check in checks:
        check(cls(cls.Options()))


@pytest.mark.parametrize("name", ["", "My-Method", "2bit", "my_method", "a--b", "-a", "a b", "a/b"])
def test_a_bad_name_is_one_message(tmp_path, name):
    with pytest.raises(SpecError, match="cannot be the name") as caught:
        new_package("method", name, tmp_path)
    assert len(str(caught.value).splitlines()) == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "message"),
    [("double-rounding", "installed already"), ("field", "imports a 'Field'")],
)
def test_a_taken_name_is_one_message(tmp_path, name, message):
    with pytest.raises(SpecError, match=message):
        new_package("method", name, tmp_path)


def test_what_is_there_is_left_alone(tmp_path):
    (tmp_path / "bitswitch-mine").mkdir()
    (tmp_path / "bitswitch-mine" / "notes.txt").write_text("mine")
    with pytest.raises(SpecError, match="is left alone"):
        new_package("method", "mine", tmp_path)
    assert (tmp_path / "bitswitch-mine" / "notes.txt").read_text() == "mine"


def test_half_a_package_is_never_seen(tmp_path, monkeypatch):
    files = {"README.md": "half", "README.md/impossible": "below a file"}
    monkeypatch.setattr(package, "rendered", lambda kind, name: files)
    with pytest.raises(OSError, match="README"):
        new_package("method", "mine", tmp_path)
    assert not list(tmp_path.iterdir())


def test_names_of_code():
    assert module_of("a-b2") == "bitswitch_a_b2"
    assert class_of("a-b2") == "AB2"
