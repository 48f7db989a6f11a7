import json
import os
import re
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from bitswitch import stages
from bitswitch.bench.measured import Measured
from bitswitch.cli import app as cli
from bitswitch.cli.old_names import renamed
from bitswitch.errors import DeviceError, Interrupted
from bitswitch.planning import probe
from bitswitch.plugins import registry
from bitswitch.results.device_bench import Check, PartResult
from bitswitch.runtime import devices
from bitswitch.runtime.gpus import VISIBLE
from bitswitch.suite.suite import load_suite
from bitswitch.testing.run import Result
from tests.results.test_device_bench import bench as device_bench

SUITE = {
    "name": "one",
    "title": "one run",
    "data": "embedded",
    "seeds": [0],
    "networks": {
        "net": {
            "title": "Net",
            "published": "none",
            "model": "resnet8",
            "dataset": {"name": "digits", "options": {"size": 8, "train": 48, "held_out": 20}},
            "bitsets": [[8, 4]],
            "training": {
                "epochs": 1,
                "batch_size": 16,
                "learning_rate": 5e-4,
                "weight_decay": 5e-5,
            },
        }
    },
    "experiments": {
        "only": {
            "title": "Only",
            "networks": ["net"],
            "variants": {"variant": {"title": "variant"}},
        }
    },
}


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "one.yaml"
    path.write_text(yaml.safe_dump(SUITE))
    return str(path)


HEAVY = {
    *("torch", "torchvision", "timm", "numpy", "pandas", "scipy", "sklearn", "matplotlib"),
    *("jinja2", "snakemake", "onnx", "onnxruntime", "safetensors", "PIL"),
}


def test_help_imports_nothing_heavy():
    script = (
        "import sys\n"
        "from bitswitch.cli.entry import main\n"
        "sys.argv = ['bitswitch', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print('heavy:', *sorted({HEAVY!r} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines()[-1] == "heavy:"


def test_plugins_are_listed_as_json(bitswitch):
    code, out, _ = bitswitch("plugins", "list", "--json")
    assert code == 0
    groups = (*registry.GROUPS, *registry.REPORT_GROUPS)
    assert json.loads(out) == {group: registry.names(group) for group in groups}
    assert {"accuracy", "search", "cost", "parity"} <= set(json.loads(out)["tables"])


def test_tables_are_checked_in_a_suite(bitswitch):
    code, _, error = bitswitch("plugins", "check", "parity")
    assert code == 2
    assert "one of the tables, which have no checks of their own" in error


def test_cards_are_listed_and_shown_whole(bitswitch):
    _, out, _ = bitswitch("plugins", "list")
    (line,) = (line for line in out.splitlines() if line.startswith("double-rounding "))
    facts = ["double-rounding", "Double Rounding", "vectors", "codes", "not stated"]
    assert re.split("  +", line) == [*facts, "huang2025nearly"]
    _, out, _ = bitswitch("plugins", "show", "double-rounding")
    assert "left open: Eq. 13" in out
    assert "    rounding: double\n" in out
    _, out, _ = bitswitch("plugins", "show", "double-rounding", "--json")
    card = json.loads(out)
    assert card["storage"] == "codes"
    assert card["options"]["rounding"] == "double"


@pytest.mark.parametrize(
    ("name", "group", "option"),
    [("genetic", "searches", "population"), ("digits", "datasets", "size")],
)
def test_what_has_no_card_is_shown_with_its_options(bitswitch, name, group, option):
    _, out, _ = bitswitch("plugins", "show", name, "--json")
    shown = json.loads(out)
    assert shown["title"] == (registry.load(group, name).__doc__ or "").splitlines()[0]
    assert shown["options"] == registry.resolve(group, name, {})
    _, out, _ = bitswitch("plugins", "show", name)
    assert out.startswith(f"{shown['title']}\n  source: ")
    assert f"    {option}: {shown['options'][option]}\n" in out


def test_a_method_is_checked(bitswitch, monkeypatch):
    found = [Result("a", "It works."), Result("b", "It fits.", "It is round.", "Make it square.")]
    monkeypatch.setattr("bitswitch.testing.run.run", lambda group, name: iter(found[:count]))
    count = 1
    code, out, _ = bitswitch("plugins", "check", "double-rounding")
    assert (code, out) == (0, "passed  It works.\ndouble-rounding: 1 checks, none failed\n")
    count = 2
    code, out, _ = bitswitch("plugins", "check", "double-rounding")
    assert code == 1
    assert "FAILED  It fits.\n          It is round.\n          Make it square.\n" in out
    code, out, _ = bitswitch("plugins", "check", "double-rounding", "--json")
    assert code == 1
    answer = json.loads(out)
    assert (answer["plugin"], answer["passed"]) == ("double-rounding", False)
    assert answer["checks"][1]["remedy"] == "Make it square."


def test_a_new_method_is_written_once(bitswitch, tmp_path):
    arguments = ("plugins", "new", "method", "my-method", "--into", tmp_path)
    code, out, _ = bitswitch(*arguments)
    folder = tmp_path / "bitswitch-my-method"
    assert code == 0
    assert f"pip install --editable {folder}" in out
    code, _, err = bitswitch(*arguments)
    assert code == 2
    assert "is left alone" in err


def test_a_suite_of_ones_own_is_started_once(bitswitch, tmp_path):
    code, out, _ = bitswitch("init", "mine", "--into", tmp_path)
    assert code == 0
    assert f"{tmp_path / 'config/suites/mine.yaml'}\n" in out
    assert "snakemake --cores 8 all" in out
    code, _, err = bitswitch("init", "mine", "--into", tmp_path)
    assert code == 2
    assert "is left alone" in err


def test_methods_are_measured_side_by_side(bitswitch, monkeypatch):
    calls = []

    def measure(names, compiled):
        calls.append((names, compiled))
        return Measured("title", ("method",), (), {})

    monkeypatch.setattr("bitswitch.bench.methods.measure", measure)
    assert bitswitch("bench", "step", "--methods", "double-rounding", "--json")[0] == 0
    assert bitswitch("bench", "step", "--methods", "all", "--compiled")[0] == 0
    assert calls[0] == (["double-rounding"], False)
    assert calls[1] == ([name for name in registry.names("methods") if name != "float32"], True)


def test_what_is_wrong_with_a_device_is_printed_written_and_an_exit_code(
    bitswitch, tmp_path, monkeypatch
):
    asked = []

    def measure(device, minutes, parts):
        asked.append((device, minutes, [part.name for part in parts]))
        wrong = Check(name="narrowing", problem="3 of the integers are others")
        return device_bench(parts=(PartResult(name="kernels", seconds=1.0, checks=(wrong,)),))

    monkeypatch.setattr("bitswitch.bench.gpu.bench.measure", measure)
    out = tmp_path / "tried.json"
    arguments = ("bench", "gpu", "--device", "cpu", "--parts", "kernels", "--out", out)
    code, said, _ = bitswitch(*map(str, arguments))
    assert code == 1
    assert asked == [("cpu", 8.0, ["kernels"])]
    assert "kernels: narrowing: 3 of the integers are others" in said
    assert json.loads(out.read_text())["parts"][0]["name"] == "kernels"


def test_shipped_suites_are_valid(bitswitch):
    code, out, _ = bitswitch("validate", "smoke", "mini", "cifar10", "paper")
    assert code == 0
    lines = out.splitlines()
    assert [line.partition(":")[0] for line in lines[:4]] == ["smoke", "mini", "cifar10", "paper"]
    assert all(line.endswith("runs, valid") for line in lines[:4])
    tinyllama, *weights = lines[4:]
    assert "data/tinyllama" in tinyllama  # left out until its files are there
    assert all(line.startswith(("fetched by 'bitswitch data prepare", "  ")) for line in weights)


def test_the_plan_is_one_json_object(bitswitch, suite, monkeypatch):
    monkeypatch.setattr(probe, "measure_step", lambda run, device: 0.25)
    code, out, _ = bitswitch("plan", suite, "--json", "--device", "cpu")
    assert code == 0
    assert json.loads(out)["total"]["steps"] == 3


def test_a_run_is_trained_where_it_is_told(bitswitch, suite, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(stages, "train", lambda *args, **options: calls.append((args, options)))
    run_id = run_of(suite)
    code, _, _ = bitswitch(
        "train", suite, run_id, "--results", tmp_path, "--device", "cpu", "--threads", 2
    )
    assert code == 0
    ((spec, results, data), options) = calls[0]
    assert (spec.run_id, results, data) == (run_id, tmp_path, Path("data"))
    assert options == {"device": "cpu", "threads": 2}


def test_two_trainings_share_a_gpu_where_they_may_and_a_third_waits(
    bitswitch, suite, tmp_path, monkeypatch
):
    def others(left):
        """Train another run beside this one, until ``left`` of them are at it."""
        seen.append(os.environ[VISIBLE])
        monkeypatch.setenv(VISIBLE, "0")
        if left:
            monkeypatch.setattr(stages, "train", lambda *args, **options: others(left - 1))
            bitswitch("train", suite, run_of(suite), "--runs-per-gpu", 2)

    def give_up(seconds):
        raise DeviceError("waited")

    seen = []
    monkeypatch.setenv(VISIBLE, "0")
    monkeypatch.setattr(devices, "private_folder", lambda: tmp_path)
    monkeypatch.setattr(time, "sleep", give_up)
    monkeypatch.setattr(stages, "train", lambda *args, **options: others(2))
    bitswitch("train", suite, run_of(suite), "--runs-per-gpu", 2)
    assert seen == ["0", "0"]


def run_of(suite):
    return next(iter(load_suite(Path(suite)).runs))


def test_data_is_prepared_checked_and_its_facts_written(bitswitch, suite, tmp_path):
    facts = tmp_path / "facts.json"
    where = ("--suite", suite, "--data", tmp_path)
    assert bitswitch("data", "prepare", *where, "--facts", facts)[0] == 0
    (found,) = json.loads(facts.read_text()).values()
    assert found["train"] == "48"
    assert bitswitch("data", "check", "digits", *where)[0] == 0


def test_a_run_is_shown(bitswitch, tmp_path):
    folder = tmp_path / "runs" / "a-run"
    folder.mkdir(parents=True)
    (folder / "spec.yaml").write_text("seed: 3\n")
    code, out, _ = bitswitch("show", "a-run", "--results", tmp_path)
    assert (code, out) == (0, "seed: 3\n\na-run  waiting\n")
    code, _, error = bitswitch("show", "b-run", "--results", tmp_path)
    assert code == 2
    assert "has no run 'b-run'. Did you mean 'a-run'?" in error


WRONG = {
    "suite": (["validate", "minni"], 2, "Did you mean 'mini'?"),
    "command": (["trian"], 2, "Did you mean 'train'?"),
    "option": (["validate", "mini", "--jsn"], 2, "No such option"),
    "run": (["train", "{suite}", "double-rounding-resnet8"], 2, "Did you mean"),
    "table": (["table", "smoke", "tabel4"], 2, "Did you mean 'table4'?"),
    "figure": (["figure", "smoke", "figure-22"], 2, "Did you mean"),
    "plugin": (["plugins", "show", "doubel-rounding"], 2, "Did you mean 'double-rounding'?"),
    "plugin nearest a method": (["plugins", "show", "lsqq"], 2, "'lsq'? known: abn, adabits"),
    "no options": (["plugins", "show", "parity"], 2, "one of the tables, which have no options"),
    "command of a noun": (["plugins", "shwo"], 2, "Did you mean 'show'?"),
    "no such folder": (["errata", "--path", "{tmp}/no/e.md"], 7, "there is no folder {tmp}/no."),
    "policy file": (["policy", "show", "{tmp}/p.json"], 8, "p.json cannot be read: No such file"),
    "checked plugin": (["plugins", "check", "digitz"], 2, "Did you mean 'digits'?"),
    "checked group": (["plugins", "check", "lsq", "--group", "searchs"], 2, "mean 'searches'?"),
    "not in the group": (["plugins", "check", "lsq", "--group", "searches"], 2, "among the"),
    "new name": (["plugins", "new", "method", "My_Method", "--into", "{tmp}"], 2, "lower-case"),
    "methods elsewhere": (["bench", "startup", "--methods", "all"], 2, "takes no --methods"),
    "only compiled": (["bench", "step", "--compiled"], 2, "belongs to --methods"),
    "measured method": (["bench", "step", "--methods", "float23"], 2, "Did you mean 'float32'?"),
    "measured reference": (["bench", "step", "--methods", "float32"], 2, "name others"),
    "benchmark": (["bench", "stepp"], 2, "Did you mean 'step'?"),
    "time elsewhere": (["bench", "startup", "--minutes", "1"], 2, "takes no --minutes; 'gpu' does"),
    "part": (["bench", "gpu", "--parts", "kernel"], 2, "Did you mean 'kernels'?"),
    "no GPU": (["bench", "gpu", "--device", "cuda:9"], 6, "bench gpu --device cpu"),
    "a processor among GPUs": (
        ["bench", "gpu", "--device", "cpu", "--out", "{tmp}/results/reference/gpu"],
        8,
        "is a processor",
    ),
    "dataset": (["data", "check", "digitz"], 2, "Did you mean 'digits'?"),
    "dataset of a suite": (["data", "check", "cifar", "--suite", "{suite}"], 2, "no dataset"),
    "no dataset at all": (["data", "check"], 2, "Name a dataset"),
    "missing data": (["data", "check", "digits", "--data", "{tmp}"], 4, "not found"),
    "shown run": (["show", "nothing", "--results", "{tmp}"], 2, "it has none at all"),
    "device": (["train", "{suite}", "{run}", "--device", "cdua"], 6, "cuda"),
}


@pytest.mark.parametrize(("arguments", "code", "message"), WRONG.values(), ids=WRONG)
def test_wrong_input_is_one_message(bitswitch, suite, tmp_path, arguments, code, message):
    known = {"suite": suite, "tmp": tmp_path, "run": run_of(suite)}
    found, out, err = bitswitch(*(argument.format(**known) for argument in arguments))
    assert found == code
    assert message.format(**known) in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in out + err


@pytest.mark.parametrize("error", [DeviceError("no GPU"), Interrupted("stopped")])
def test_an_expected_error_is_its_text_and_its_exit_code(bitswitch, suite, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(stages, "train", fail)
    code, _, err = bitswitch("train", suite, run_of(suite))
    assert (code, err) == (error.exit_code, f"error: {error}\n")


def test_a_traceback_is_shown_on_request(suite, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["bitswitch", "--debug", "validate", "no-such-suite"])
    with pytest.raises(Exception, match="There is no suite 'no-such-suite'"):
        cli.main()


def test_a_defect_is_not_hidden(suite, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(stages, "train", fail)
    monkeypatch.setattr(sys, "argv", ["bitswitch", "train", suite, run_of(suite)])
    with pytest.raises(ZeroDivisionError):
        cli.main()


PREFIXES = {
    cli.policy: "policy",
    cli.travelling: "results",
    cli.plugins: "plugins",
    cli.new: "plugins new",
    cli.data: "data",
}
COMMANDS = [
    *((cli.name_of(one), one) for commands in cli.PANELS.values() for one in commands),
    *(
        (f"{PREFIXES[group]} {cli.name_of(one)}", one)
        for group, commands in cli.GROUPS.items()
        for one in commands
    ),
]


def test_every_command_says_what_it_does(bitswitch):
    for words, command in COMMANDS:
        code, out, _ = bitswitch(*words.split(), "--help")
        assert code == 0
        assert (command.__doc__ or "").split()[0] in out


def parameters(command=None, words=()):
    """Yield the parameters of all commands, each with the words that call the command."""
    command = command or get_command(cli.app)
    yield from (((*words, one.name), one) for one in command.params)
    for name, inside in getattr(command, "commands", {}).items():
        yield from parameters(inside, (*words, name))


def test_every_argument_and_option_says_what_it_is():
    for words, one in parameters():
        if one.name != "help":
            assert one.help, words
        if one.param_type_name == "argument":
            assert one.metavar, words


def test_the_version_is_printed(bitswitch):
    assert bitswitch("--version")[:2] == (0, f"{version('bitswitch')}\n")


def test_help_groups_the_commands(bitswitch):
    _, out, _ = bitswitch("--help")
    panels = re.findall(r"^╭─ (\w+) ─+╮\n(.*?)^╰", out, flags=re.MULTILINE | re.DOTALL)
    listed = {title: set(re.findall(r"^│ ([a-z-]+)", text, re.MULTILINE)) for title, text in panels}
    nouns = {"Look": {"policy", "results"}, "Extend": {"plugins"}, "Data": {"data"}}
    assert [title for title, _ in panels] == ["Options", *cli.PANELS]
    for title, commands in cli.PANELS.items():
        assert listed[title] == {cli.name_of(one) for one in commands} | nouns.get(title, set())


@pytest.mark.parametrize(
    ("former", "now"),
    [
        ("plugins", "plugins list"),
        ("plugins --json", "plugins list --json"),
        ("plugins lsq", "plugins show lsq"),
        ("plugins lsq --json", "plugins show lsq --json"),
        ("--debug plugins lsq", "--debug plugins show lsq"),
        ("check-plugin lsq --json", "plugins check lsq --json"),
        ("new method mine --into here", "plugins new method mine --into here"),
    ],
)
def test_a_former_name_works_with_a_notice(capsys, former, now):
    assert renamed(former.split()) == now.split()
    written = capsys.readouterr()
    assert written.out == ""
    assert "is now `bitswitch plugins" in written.err
    assert renamed(now.split()) == now.split()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "line", ["", "--help", "plugins --help", "plugins shwo", "validate new", "show plugins"]
)
def test_what_is_no_former_name_is_left_alone(capsys, line):
    assert renamed(line.split()) == line.split()
    assert capsys.readouterr().err == ""


def test_documents_use_the_present_names(capsys):
    files = [Path("README.md"), Path("Snakefile"), *Path("docs").rglob("*.md")]
    files += [*Path("workflow").rglob("*.smk"), *Path("bitswitch").rglob("*.j2")]
    for file in files:
        for command in re.findall(r"\bbitswitch ((?:[a-z-]+ ?)+)", file.read_text()):
            renamed(command.split())
            assert capsys.readouterr().err == "", f"{file}: {command}"


@pytest.mark.parametrize("arguments", [["mini.tar.xz"], ["smoke", "pdf"]])
def test_only_the_page_of_running_jobs_is_watched(bitswitch, arguments):
    code, _, messages = bitswitch("report", *arguments, "--watch")
    assert code != 0
    assert "--watch makes the page of a suite whose jobs are running" in messages


def test_a_watch_that_is_stopped_tells_its_page(bitswitch, monkeypatch):
    class Stopped:
        page = "results/smoke/so-far/report.html"
        stops = iter((1,))

        def __init__(self, *arguments):
            pass

        def stop(self):
            next(self.stops)

        def __iter__(self):
            sys.exit(130)

    monkeypatch.setattr("bitswitch.report.document.watching.Watch", Stopped)
    monkeypatch.setattr("bitswitch.cli.reports.load", lambda name: None)
    monkeypatch.setattr("os.nice", lambda more: more)
    code, out, _ = bitswitch("report", "smoke", "--watch")
    assert code == 130
    assert out.startswith(f"{Stopped.page}: made again as jobs end")
    assert next(Stopped.stops, None) is None
