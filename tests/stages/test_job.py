"""What frames all jobs, whatever they do inside."""

import pytest
import torch

from bitswitch.errors import CheckpointError, Diverged
from bitswitch.results.files import read_json
from bitswitch.results.record import Finding, Record, write_lines
from bitswitch.results.result import read_result
from bitswitch.spec import yaml_text
from bitswitch.stages.execution import Execution
from bitswitch.stages.job import Job
from bitswitch.training.clock import Instant
from bitswitch.types import Strict


class Spec(Strict):
    seed: int = 3


class Note(Record):
    number: int


class Ending(Record):
    status: Finding
    diagnosis: str | None
    time_kind: str
    wall_time_s: float
    peak_memory_mib: float


class Counting(Job):
    stage = "train"

    def __init__(self, folder, spec=None):
        execution = Execution(folder, folder, torch.device("cpu"))
        super().__init__(folder / "job", spec, execution, Instant.now())
        self.notes = []

    def write(self):
        write_lines(self.folder / "notes.jsonl", self.notes)
        return ("notes.jsonl",)

    def result(self):
        return Ending(**self.ending())


def test_a_job_leaves_its_spec_provenance_finds_and_result(tmp_path):
    with Counting(tmp_path, Spec()) as job:
        job.identify(job.facts([]))
        begun = read_json(job.folder / "provenance.json")
        job.notes.append(Note(number=1))
        assert not (job.folder / "result.json").exists()
    assert yaml_text.parse((job.folder / "spec.yaml").read_text()) == {"seed": 3}
    assert Note.read_lines(job.folder / "notes.jsonl") == job.notes
    ended = read_json(job.folder / "provenance.json")
    assert begun["finished"] is None
    assert ended | {"finished": None} == begun
    result = read_result(job.folder, "notes.jsonl", "provenance.json")
    assert (result["status"], result["diagnosis"]) == ("complete", None)
    assert result["wall_time_s"] > 0


def test_divergence_is_a_finding_and_what_was_found_before_stays(tmp_path):
    with Counting(tmp_path) as job:
        job.notes.append(Note(number=1))
        raise Diverged("the loss is nan")
    result = read_result(job.folder)
    assert (result["status"], result["diagnosis"]) == ("diverged", "the loss is nan")
    assert Note.read_lines(job.folder / "notes.jsonl") == job.notes
    assert list(read_json(job.folder / "provenance.json")) == ["finished"]
    assert not (job.folder / "spec.yaml").exists()


def interrupted(folder, error):
    """Return a job that was ended by ``error``."""
    job = Counting(folder)

    def work():
        with job:
            job.identify(job.facts([]))
            raise error

    with pytest.raises(type(error)):
        work()
    return job


@pytest.mark.parametrize("error", [CheckpointError("it is damaged"), KeyboardInterrupt()])
def test_a_failure_goes_on_and_leaves_no_result(tmp_path, error):
    job = interrupted(tmp_path, error)
    assert [path.name for path in job.folder.iterdir()] == ["provenance.json"]


def test_what_an_earlier_attempt_wrote_is_known(tmp_path):
    killed = interrupted(tmp_path, KeyboardInterrupt())
    with Counting(tmp_path) as job:
        assert job.before() == killed.provenance
        assert job.facts([]).code == job.before().code
