import pytest

from bitswitch.results.closure import closure

SOURCES = {
    "__init__.py": "",
    "root.py": "import os\nfrom own import direct\nfrom own.inner.deep import member\n",
    "direct.py": "def late():\n    import own.later\n",
    "later.py": "from own import root\n",
    "inner/__init__.py": "",
    "inner/deep.py": """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from own import only_types
else:
    from own import at_run_time
try:
    import own.tried
except ImportError:
    pass
member = 1
""",
    "inner/beside.py": "",
    "only_types.py": "",
    "at_run_time.py": "",
    "tried.py": "",
    "leaf.py": "from own import beyond\n",
    "beyond.py": "",
}


@pytest.fixture
def package(tmp_path):
    for name, text in SOURCES.items():
        path = tmp_path / "own" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "own"


def test_imports_are_followed_wherever_they_stand(package):
    assert closure(package, ["root.py"], ["leaf.py"]) == [
        *("__init__.py", "at_run_time.py", "direct.py", "inner/__init__.py", "inner/deep.py"),
        *("later.py", "leaf.py", "root.py", "tried.py"),
    ]


def test_a_folder_stands_for_all_its_files(package):
    assert "inner/beside.py" in closure(package, ["inner"])


def test_nothing_of_another_package_is_followed(package):
    (package / "root.py").write_text("import direct\nfrom others import own\n")
    assert closure(package, ["root.py"]) == ["root.py"]
