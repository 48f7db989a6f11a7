"""A package that knows bitswitch from the outside: what the how-to says, done."""

import json
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from bitswitch.scaffold.package import rendered

TOP = Path(__file__).resolve().parents[2]
HOW_TO = TOP / "docs" / "howto" / "add-a-method.md"
BITSWITCH = (sys.executable, "-c", "from bitswitch.cli.app import main; main()")
PACKAGE = "bitswitch-max-abs"
JOBS = re.compile(r" data-jobs=\"[^\"]*\"")


class Block(NamedTuple):
    """A code block of the how-to."""

    file: str | None
    """Whose content it is."""
    language: str
    content: str


def blocks(how_to=HOW_TO):
    """Return the code blocks of a how-to, in order."""
    pattern = r"(?:^`([^`\n]+)`:\n\n)?^```(\w+)\n(.*?)^```$"
    found = re.findall(pattern, how_to.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [Block(file or None, language, content) for file, language, content in found]


def content_of(file):
    """Return what the how-to shows of ``file``."""
    return next(block.content for block in blocks() if block.file == file)


class Reader:
    """Does what the how-to says in the folder of a project."""

    def __init__(self, project, target):
        self.project = project
        self.target = target
        self.places = {
            "pip install --editable": f"{sys.executable} -m pip install --quiet --no-deps "
            f"--no-build-isolation --target {target}",
            "snakemake": f"snakemake --snakefile {TOP / 'Snakefile'}",
        }
        """An environment of its own, and a working folder that is no checkout."""

    def environment(self):
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        packages = [*self.project.folder.glob("bitswitch-*"), self.target]  # the former as edited
        return {"PATH": path, "PYTHONPATH": os.pathsep.join(map(str, packages))}

    def type(self, line):
        """Run one command line; return what it prints."""
        for said, meant in self.places.items():
            if line.startswith(said):
                line = meant + line.removeprefix(said)
        code, text = self.project.run(["bash", "-c", line], **self.environment())
        assert code == 0, f"{line}\n{text}"
        return text

    def follow(self, how_to, suite):
        """Do all that a how-to says, in order; return what its command lines print.

        Files that it shows are to be there as shown, but for the suite, which is written.
        """
        printed = {}
        for block in blocks(how_to):
            if block.language == "sh":
                printed |= {line: self.type(line) for line in block.content.splitlines()}
            elif block.file == suite:
                (self.project.folder / suite).write_text(block.content)
            else:
                shown = (self.project.folder / block.file).read_text()
                assert shown.rstrip() == block.content.rstrip()
        return printed

    def bitswitch(self, *arguments):
        """Run bitswitch; return exit code and output."""
        return self.project.run([*BITSWITCH, *arguments], **self.environment())


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    return tmp_path_factory.mktemp("installed")


@pytest.fixture
def reader(project, target):
    """A reader who has started the package and installed it, and has written the suite."""
    reader = Reader(project, target)
    if not list(target.glob("*.dist-info")):
        reader.type("bitswitch plugins new method max-abs")
        reader.type(f"pip install --editable ./{PACKAGE}")
    project.path.write_text(content_of("max-abs.yaml"))
    return reader


@pytest.mark.parametrize("file", ["bitswitch_max_abs/__init__.py", "pyproject.toml"])
def test_the_how_to_shows_what_is_written(file):
    assert content_of(f"{PACKAGE}/{file}").rstrip() == rendered("method", "max-abs")[file].rstrip()


def test_the_how_to_names_what_can_be_overridden():
    from bitswitch.contracts.method import Method

    table = re.findall(r"^\| .* \| (`.*`) \|$", HOW_TO.read_text(), flags=re.MULTILINE)
    named = {name for cell in table for name in re.findall(r"`(\w+)", cell)}
    public = {name for name in vars(Method) if not name.startswith("_")}
    assert named <= public | {"card"}
    assert public - named <= {"weight_quantizer"}


def test_an_installed_method_is_listed_and_its_suite_valid(reader):
    assert "max-abs" in json.loads(reader.bitswitch("plugins", "list", "--json")[1])["methods"]
    code, text = reader.bitswitch("validate", reader.project.path)
    assert code == 0
    assert text.startswith("max-abs: ")


def test_its_options_are_checked_like_any_other(reader):
    path = reader.project.path
    path.write_text(path.read_text().replace("headroom", "headrom"))
    code, text = reader.bitswitch("validate", path)
    assert code == 2
    assert "Did you mean 'headroom'?" in text


def test_without_the_package_the_message_says_what_to_do(project):
    project.path.write_text(content_of("max-abs.yaml"))
    code, text = project.run([*BITSWITCH, "validate", project.path])
    assert code == 2
    assert "No plugin 'max-abs'" in text
    assert "install its package again" in text


@pytest.mark.slow
def test_the_how_to_works_as_written(project, tmp_path_factory):
    reader = Reader(project, tmp_path_factory.mktemp("environment"))
    printed = reader.follow(HOW_TO, "max-abs.yaml")
    assert "none failed" in printed["bitswitch plugins check max-abs"]
    table = (project.folder / "results" / "max-abs" / "tables" / "table1.html").read_text()
    for label in ("max-abs", "max-abs clipped"):
        assert has_row(table, label)


def has_row(table, label):
    """Return whether an HTML table has one row of this label, with numbers."""
    row = rf"<th[^>]*>(?:<span>)?{label}(?:</span>)?</th>.*?</tr>"
    (found,) = re.findall(row, table, flags=re.DOTALL)
    return bool(re.search(r"\d+\.\d\d", found))


@pytest.mark.slow
def test_the_how_to_on_searches_works_as_written(project, tmp_path_factory):
    reader = Reader(project, tmp_path_factory.mktemp("environment"))
    printed = reader.follow(HOW_TO.with_name("add-a-search.md"), "tail-first.yaml")
    for name in ("noise", "tail-first"):
        assert "none failed" in printed[f"bitswitch plugins check {name}"]
    results = project.folder / "results"
    tables = results / "tail-first" / "tables"
    for label in ("from the tail", "by noise"):
        assert has_row((tables / "own-searches.html").read_text(), label)
    (scores,) = (text for line, text in printed.items() if "noise-*/scores.csv" in line)
    assert scores.startswith("layer,operand,bits,value,standard_error\n")
    (row,) = re.findall(
        "<tr[^>]*>(?:(?!</tr>).)*full precision.*?</tr>",
        scored := (tables / "own-scores.html").read_text(),
        re.DOTALL,
    )
    assert ">noise<" in row
    assert re.findall(r"<td[^>]*>\s*([^<]*)", row)[:2] == ["8", "64"]
    page = (results / "tail-first" / "report.html").read_text()
    assert JOBS.sub("", scored) in JOBS.sub("", page)  # tables name jobs, the page counts them
    found = [json.loads(path.read_text()) for path in results.glob("searches/*/policies/*.json")]
    assert {policy["search"] for policy in found} == {"tail-first", "ilp"}
    for policy in found:
        assert len({bits for operands in policy["layers"].values() for bits in operands}) > 1
    (difference,) = (text for line, text in printed.items() if "policy diff" in line)
    assert re.match(r"[1-8] of 8 layers differ", difference)


@pytest.mark.slow
def test_the_how_to_on_tables_works_as_written(project, tmp_path_factory):
    how_to = HOW_TO.with_name("add-a-table.md")
    for block in blocks(how_to):
        if block.file:
            path = project.folder / block.file
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.content)
    reader = Reader(project, tmp_path_factory.mktemp("environment"))
    printed = reader.follow(how_to, "drop.yaml")
    listed = printed["bitswitch plugins list"].splitlines()
    for group in ("tables", "figures"):
        (line,) = (line for line in listed if line.startswith(f"{group}: "))
        assert " drop, " in line
    report = project.folder / "results" / "drop"
    (row,) = re.findall(
        r"<tr.*?Double Rounding.*?</tr>",
        table := (report / "tables" / "ends.html").read_text(),
        re.DOTALL,
    )
    assert f">{lost(project.folder / 'results'):.2f}<" in row
    assert table in (report / "report.html").read_text()
    assert 'id="figure-drop"' in (report / "report.html").read_text()
    assert (report / "figures" / "figure-drop.pdf").read_bytes().startswith(b"%PDF")
    (source,) = project.folder.glob("*/bitswitch_drop.py")
    source.write_text(source.read_text().replace("points lost", "points that are lost"))
    planned = reader.type("snakemake --cores 8 all --config suite=drop.yaml --dry-run")
    assert "rule figures" in planned
    assert "rule train" not in planned


def lost(results):
    """Return how much a trained network's top-1 at 3 bit is below that at 8 bit, in points."""
    (metrics,) = results.glob("runs/double-rounding-*/metrics.jsonl")
    lines = map(json.loads, metrics.read_text().splitlines())
    top1 = {
        line["policy"]: line["value"]
        for line in lines
        if (line["split"], line["metric"]) == ("test", "top1")
    }
    return top1["8"] - top1["3"]


@pytest.mark.parametrize(
    ("kind", "name", "file"),
    [
        ("search", "tail-first", "bitswitch-tail-first/bitswitch_tail_first/__init__.py"),
        ("sensitivity", "noise", "bitswitch-noise/bitswitch_noise/__init__.py"),
    ],
)
def test_the_how_to_on_searches_shows_what_is_written(kind, name, file):
    shown = {block.file: block.content for block in blocks(HOW_TO.with_name("add-a-search.md"))}
    written = rendered(kind, name)[file.partition("/")[2]]
    assert shown[file].rstrip() == written.rstrip()


@pytest.mark.slow
def test_the_how_to_on_tasks_works_as_written(project, tmp_path_factory):
    reader = Reader(project, tmp_path_factory.mktemp("environment"))
    how_to = HOW_TO.with_name("add-a-task.md")
    for block in blocks(how_to):
        if block.file:
            path = project.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.content)
    printed = reader.follow(how_to, "ratings.yaml")
    assert "3 runs, valid" in printed["bitswitch validate ratings.yaml"]
    results = project.folder / "results"
    lines = [
        json.loads(line)
        for path in results.glob("runs/double-rounding-*/metrics.jsonl")
        for line in path.read_text().splitlines()
    ]
    tested = [one for one in lines if (one["split"], one["metric"]) == ("test", "mae")]
    table = (results / "ratings" / "tables" / "stars.html").read_text()
    for bits in ("8", "4", "2"):
        least, most = sorted(f"{one['value']:.3f}" for one in tested if one["policy"] == bits)
        assert least < most
        assert f"<b>{least}</b>" in table
        assert most in table
        assert f"<b>{most}</b>" not in table
