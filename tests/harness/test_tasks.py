"""The command, and tasks of one's own from files on this machine."""

import json
import math
import re
from pathlib import Path

import pytest
import torch

from bitswitch import stages
from bitswitch.errors import DatasetError, SpecError
from bitswitch.harness.likelihood import rolling
from bitswitch.harness.network import Network
from bitswitch.results.evaluations import Evaluation
from bitswitch.results.files import read_json
from tests.harness.conftest import Asked

TOP = Path(__file__).parents[2]
CHOICE = """
task: plays-choice
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/lines.jsonl}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{line}}"
doc_to_choice: "{{choices}}"
doc_to_target: label
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
metadata: {version: 2.0}
"""
ROLLING = """
task: plays-bits
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/lines.jsonl}}
output_type: loglikelihood_rolling
test_split: test
doc_to_text: ""
doc_to_target: "{{line}}"
metric_list: [{metric: bits_per_byte, aggregation: bits_per_byte, higher_is_better: false}]
metadata: {version: 1.0}
"""
CONTINUED = """
task: plays-continued
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/lines.jsonl}}
output_type: generate_until
test_split: test
doc_to_text: "{{line}}"
doc_to_target: "{{choices[label]}}"
generation_kwargs: {until: [" "], max_gen_toks: NEW}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
metadata: {version: 1.0}
"""
GONE = CHOICE.replace("plays-choice", "gone").replace("lines.jsonl", "gone.jsonl")
HUB = """
task: elsewhere
dataset_path: nobody/has-this-here
output_type: loglikelihood_rolling
test_split: test
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: bits_per_byte}]
"""
LINES = [
    {"line": "Is this a ", "choices": ["dagger", "qqx"], "label": 0},
    {"line": "Out, out, brief candle, ", "choices": ["zzz", "life"], "label": 1},
    {"line": "Double, double ", "choices": ["toil", "trouble"], "label": 0},
]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """Return a folder of tasks; the data of two of them are missing."""
    pytest.importorskip("lm_eval")
    folder = tmp_path_factory.mktemp("tasks")
    written = {"choice": CHOICE, "rolling": ROLLING, "gone": GONE, "hub": HUB}
    written |= {"continued": CONTINUED.replace("NEW", "4")}
    written |= {"long": CONTINUED.replace("NEW", "16").replace("continued", "long")}
    for name, text in written.items():
        (folder / f"{name}.yaml").write_text(text.replace("FOLDER", str(folder)))
    (folder / "lines.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return folder


def test_without_the_extra_there_is_one_message(bitswitch, text_run, monkeypatch):
    run, results = text_run
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, err = bitswitch("lm-eval", run.run_id, "--tasks", "piqa", "--results", results)
    assert (code, err) == (
        2,
        "error: lm-eval needs the library lm_eval, which is not installed.\n"
        "  pip install 'bitswitch[llm]'\n",
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--tasks", ","), "--tasks names no task"),
        (("--tasks", "piqa", "--bits", "8,x"), "'x' is none"),
        (("--tasks", "piqa", "--bits", "8", "--policy", "p.json"), "exclude each other"),
    ],
)
def test_wrong_options(bitswitch, text_run, arguments, words):
    run, results = text_run
    code, _, err = bitswitch("lm-eval", run.run_id, *arguments, "--results", results)
    assert (code, words in err) == (2, True)


def test_tasks_are_answered_at_every_bit_width(bitswitch, text_run, decoder, tasks):
    run, results = text_run
    names = "plays-choice,plays-bits,plays-continued"
    arguments = ("--tasks", names, "--include-path", tasks, "--results", results)
    code, out, _ = bitswitch("lm-eval", run.run_id, *arguments, "--bits", "8,2", "--json")
    found = json.loads(out)
    assert (code, found["run"], found["context"]) == (0, run.run_id, 16)
    (path,) = (results / "lm-eval" / run.run_id).glob("*.json")
    assert read_json(path) == found == Evaluation.read(path).content()
    facts = found["tasks"]["plays-choice"]
    assert (facts["version"], facts["shots"], facts["questions"]) == (2.0, 0, 3)
    assert found["versions"]["lm_eval"]
    assert found["provenance"]["code_hash"]
    for one in found["answers"]:
        assert one["truncated"] > 0
        with decoder.at(one["policy"]), torch.no_grad():
            network = Network(decoder, 1)
            asked = [Asked((line["line"], word)) for line in LINES for word in line["choices"]]
            scores = torch.tensor([log for log, _ in network.loglikelihood(asked)]).view(-1, 2)
            right = scores.argmax(1) == torch.tensor([line["label"] for line in LINES])
            assert one["values"]["plays-choice"]["acc"] == pytest.approx(right.double().mean())
            total = sum(network.loglikelihood_rolling([Asked((one["line"],)) for one in LINES]))
            size = sum(len(line["line"]) for line in LINES)
            bits = -total / size / math.log(2)
            assert one["values"]["plays-bits"]["bits_per_byte"] == pytest.approx(bits)
    code, out, _ = bitswitch("lm-eval", run.run_id, *arguments, "--limit", 2, "--bits", 2)
    lines = out.splitlines()
    assert "plays-choice (version 2.0, 0 shots, 2 of 3 questions)" in lines[0]
    assert (lines[1].split(), lines[2].split()[:2]) == (["2", "bits"], ["plays-choice", "acc"])
    assert len(list((results / "lm-eval" / run.run_id).glob("*.json"))) == 2


def test_the_task_of_the_how_to_is_answered(bitswitch, text_run, tmp_path, monkeypatch):
    pytest.importorskip("lm_eval")
    run, results = text_run
    page = (TOP / "docs" / "howto" / "lm-eval.md").read_text()
    found = dict(re.findall(r"^```(yaml|json)\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "plays.yaml").write_text(found["yaml"])
    (tmp_path / "tasks" / "plays.jsonl").write_text(found["json"])
    monkeypatch.chdir(tmp_path)
    (command,) = re.findall(r"^bitswitch (lm-eval RUN --tasks plays .*)$", page, re.MULTILINE)
    words = command.replace("RUN", run.run_id).split()
    code, out, _ = bitswitch(*words, "--results", results, "--output", "plays.json")
    assert (code, out.splitlines()[-1]) == (0, "plays.json")
    assert [one.policy for one in Evaluation.read(tmp_path / "plays.json").answers] == [8, 4, 2]


def test_solved_examples_are_shown(text_run, tasks, tmp_path):
    run, results = text_run
    found = [
        stages.lm_eval(run, ["plays-choice"], [8], results, tasks, shots=shots, output=path)[1]
        for shots, path in ((0, tmp_path / "0.json"), (1, tmp_path / "1.json"))
    ]
    facts = [one.tasks["plays-choice"] for one in found]
    assert [one.shots for one in facts] == [0, 1]
    assert facts[0].data_hash != facts[1].data_hash


def test_missing_data_are_listed_before_a_network_is_loaded(text_run, tasks, tmp_path):
    run, _ = text_run
    with pytest.raises(DatasetError) as caught:
        stages.lm_eval(run, ["gone", "plays-choice", "elsewhere"], results=tmp_path, include=tasks)
    message = str(caught.value)
    assert message.startswith("The data of 2 tasks cannot be loaded on this machine")
    assert "\n  gone: " in message
    assert "gone.jsonl" in message
    assert "\n  elsewhere: " in message
    assert "nobody/has-this-here" in message
    assert "TaskManager().load(['gone', 'elsewhere'])" in message


def test_what_cannot_be_asked(text_run, tasks):
    run, results = text_run
    with pytest.raises(SpecError, match=r"'plays-long' has 16 tokens generated.*is 16\."):
        stages.lm_eval(run, ["plays-long"], results=results, include=tasks)
    with pytest.raises(SpecError, match="names no folder"):
        stages.lm_eval(run, ["plays-long"], results=results, include=tasks / "none")
    with pytest.raises(SpecError, match="named twice"):
        stages.lm_eval(run, ["plays-bits", "plays-bits"], results=results, include=tasks)


@pytest.mark.slow
def test_tasks_that_lm_eval_does_not_have(text_run, tasks):
    run, results = text_run
    with pytest.raises(SpecError, match=r"no task 'hellaswagg'\. Did you mean 'hellaswag'"):
        stages.lm_eval(run, ["hellaswagg"], results=results, include=tasks)


def test_texts_roll_as_in_lm_eval():
    utils = pytest.importorskip("lm_eval.utils")
    for length in range(1, 20):
        for room in range(1, 8):
            tokens = list(range(100, 100 + length))
            windows = list(utils.get_rolling_token_windows(tokens, 0, room, 1))
            pairs = list(rolling(tokens, 0, room))
            assert [list(pair.continuation) for pair in pairs] == [asked for _, asked in windows]
            read = [[*pair.context, *pair.continuation][:-1] for pair in pairs]
            assert read == [list(known) for known, _ in windows]
