"""Command lines of the documents, and whether what they call takes them; nothing is run."""

import importlib.util
import re
import shlex
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml
from snakemake.cli import get_argument_parser
from typer.main import get_command

from bitswitch.cli.app import app
from bitswitch.suite.suite import suite_path

TOP = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for path in [
        *(TOP / "docs").rglob("*.md"),
        *(TOP / name for name in ("README.md", "CONTRIBUTING.md", "config/README.md")),
    ]
    if "decisions" not in path.parts
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`([\w./-]+\.(?:py|yaml))`")
SHELL = ("", "sh", "bash")
ELSEWHERE = {
    *(
        "$EDITOR",
        "apptainer",
        "aws",
        "cd",
        "conda",
        "docker",
        "echo",
        "export",
        "git",
        "grep",
        "mkdir",
    ),
    *("nvidia-cuda-mps-control", "nvidia-smi", "rm", "sbatch", "sudo", "."),
}
"""Programs of other projects; of those that start one of ours, that part is looked at."""


class Line(NamedTuple):
    """A command line, as a reader types it."""

    page: str
    text: str


def lines(page):
    """Return the command lines of a page."""
    found = []
    for language, content in FENCE.findall(page.read_text()):
        if language in SHELL:
            joined = re.sub(r"\\\n\s*", "", content)
            found += [
                Line(str(page.relative_to(TOP)), text) for text in joined.splitlines() if text
            ]
    return found


def calls(text):
    """Yield the words of every program that a command line starts."""
    plain = re.sub(r"\$\([^()]*\)", "SOMETHING", text)
    lexer = shlex.shlex(plain, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words = []
    for word in [*lexer, ";"]:
        if set(word) <= set("|&;"):
            if words:
                yield words
            words = []
        else:
            words.append(word)


def files(page):
    """Return the files that a page has its reader write, by name."""
    return set(FILE.findall((TOP / page).read_text()))


def check_line(text, page):
    """Raise unless all that a command line of a page calls takes these words."""
    for words in calls(text):
        check(words, page)


def check(words, page):
    """Raise unless what ``words`` call takes them."""
    program, *rest = words
    if program in CHECKS:
        CHECKS[program](rest, page)
        return
    assert program in ELSEWHERE, f"'{program}' is no program that we know"
    for number, word in enumerate(words):
        if word.partition(" ")[0] in ("srun", "torchrun"):
            check(shlex.split(word)[1:], page)
        elif number and word in ("bitswitch", "snakemake") and words[number + 1 :]:
            if program == "docker" and word == "bitswitch":
                continue  # the image
            check(words[number:], page)


@cache
def root():
    return get_command(app)


def check_bitswitch(words, page):
    """Raise unless there is such a command, and it takes these arguments."""
    if words[:1] == ["--version"]:
        return
    command, name = root(), "bitswitch"
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"{name} has no command '{words[0]}'"
        name, command, words = f"{name} {words[0]}", command.commands[words[0]], words[1:]
    given = command.make_context(name, list(words)).params
    for key in ("suite", "suites"):
        named = given.get(key) or []
        for suite in [named] if isinstance(named, str | Path) else named:
            check_suite(str(suite), page)


def check_suite(suite, page):
    """Raise unless a suite, or a pack that stands for one, is there or is said to be."""
    if suite.endswith((".xz", ".yaml")):
        known = suite.endswith(".xz") or suite in files(page) or Path(TOP, suite).exists()
    else:
        known = suite.isupper() or suite_path(suite).exists()
    assert known, f"there is no suite '{suite}'"


@cache
def snakemake_parser():
    return get_argument_parser()


def check_snakemake(words, page):
    """Raise unless Snakemake takes the options, and our rules the settings."""
    profiles = [word for word in words if word.startswith("profiles/")]
    for profile in profiles:
        assert Path(TOP, profile, "config.yaml").exists(), profile
    plain = [word for word in words if word not in ("--profile", *profiles)]
    arguments, _ = snakemake_parser().parse_known_args(plain)
    assert arguments.cores is not None or profiles
    settings = yaml.safe_load((TOP / "workflow/schemas/config.schema.yaml").read_text())
    given = dict(pair.split("=", 1) for pair in plain if "=" in pair and pair[0] != "-")
    for key in given:
        assert key in settings["properties"], f"there is no setting '{key}'"
    if "suite" in given:
        check_suite(given["suite"], page)


def check_make(words, page):
    """Raise unless the Makefile has the targets and variables."""
    makefile = (TOP / "Makefile").read_text()
    for word in words:
        name, is_variable, _ = word.partition("=")
        mark = r"\s*[:?]?=" if is_variable else ":"
        found = re.search(rf"^{re.escape(name)}{mark}", makefile, re.MULTILINE)
        assert found or (is_variable and f"({name})" in makefile), word


def check_python(words, page):
    """Raise unless the file, the module or the program given to Python is there."""
    option, *rest = words
    if option == "-c":
        compile(rest[0], page, "exec")
    elif option == "-m":
        assert importlib.util.find_spec(rest[0]), rest[0]
    else:
        assert option in files(page) or Path(TOP, option).exists(), option


def check_pip(words, page):
    """Raise unless the extras of our package exist."""
    assert words[0] == "install"
    extras = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for found in re.findall(r"(?:bitswitch|\.)\[([\w,]+)\]", " ".join(words)):
        assert set(found.split(",")) <= set(extras), found


def check_pytest(words, page):
    """Raise unless the files and folders are there, or are written before."""
    for word in words:
        if "/" in word:
            assert Path(TOP, word).exists(), word


def check_torchrun(words, page):
    """Raise unless our command takes what comes after our module."""
    assert words[words.index("-m") + 1] == "bitswitch"
    check_bitswitch(words[words.index("-m") + 2 :], page)


CHECKS = {
    "bitswitch": check_bitswitch,
    "make": check_make,
    "pip": check_pip,
    "pytest": check_pytest,
    "python": check_python,
    "snakemake": check_snakemake,
    "torchrun": check_torchrun,
}
