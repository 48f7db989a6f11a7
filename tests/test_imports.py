"""What importing parts of the package loads."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import bitswitch

PACKAGE = Path(bitswitch.__file__).parent
LIGHT = ("spec", "suite", "results", "report", "cli", "planning/plan.py", "costs.py")
"""What suites, plans, reports and the command line are made of."""
HEAVY = ("torch", "torchvision", "timm", "snakemake")


def modules(part):
    path = PACKAGE / part
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    for file in files:
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(["bitswitch", *(name for name in parts if name != "__init__")])


def test_suites_and_reports_load_no_torch():
    names = [name for part in LIGHT for name in modules(part)]
    code = (
        "import sys; from importlib import import_module\n"
        f"for name in {names}:\n"
        "    import_module(name)\n"
        f"    heavy = sys.modules.keys() & {set(HEAVY)}\n"
        "    assert not heavy, (name, heavy)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rooms_stay_small_enough_to_look_around_in():
    loose = [path for path in PACKAGE.glob("*.py") if path.name != "__init__.py"]
    assert len(loose) <= 8
    for folder in {path.parent for path in PACKAGE.rglob("*.py")} - {PACKAGE}:
        assert len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) <= 20, (
            folder
        )


def test_every_room_says_in_words_what_it_holds():
    for file in PACKAGE.rglob("__init__.py"):
        sentence = (ast.get_docstring(ast.parse(file.read_text())) or "").splitlines()[:1]
        assert sentence, file
        assert sentence != [f"{file.parent.name}."], file


def test_the_map_of_the_house_names_every_room():
    page = (PACKAGE.parent / "docs" / "explanation" / "architecture.md").read_text()
    floors = page.partition("## Floors")[2].partition("## Reading order")[0]
    named = {
        name
        for cell in re.findall(r"^\|[^|]*\|([^|]*)\|", floors, re.M)
        for name in cell.split("`")
    }
    rooms = {file.parent.name for file in PACKAGE.glob("*/__init__.py")}
    rooms |= {file.stem for file in PACKAGE.glob("*.py")} - {"__init__"}
    assert rooms <= named
