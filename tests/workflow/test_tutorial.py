"""The tutorials, done as they stand there."""

import re

import pandas as pd
import pytest

from .test_stranger import TOP, Reader, blocks

TUTORIALS = TOP / "docs" / "tutorial"


@pytest.fixture
def follow(project, tmp_path_factory):
    """Return a function that does what a tutorial says, and gives what each command line prints."""
    reader = Reader(project, tmp_path_factory.mktemp("environment"))

    def read(name):
        printed = {}
        for block in blocks(TUTORIALS / name):
            if block.language == "sh":
                printed |= {line: reader.type(line) for line in block.content.splitlines()}
            else:
                (project.folder / block.file).write_text(block.content)
        return printed

    return read


@pytest.mark.slow
def test_the_tutorial_works_as_written(project, follow):
    printed = follow("switching.md")
    inferred = {line: text for line, text in printed.items() if line.startswith("bitswitch infer")}
    policies = [text.split(",")[0] for text in inferred.values()]
    assert policies == ["8 bits", "2 bits", "2 bits", "8 bits"]
    names = sorted(path.name for path in project.folder.glob("digit-*.png"))
    for text in inferred.values():
        assert re.findall(r"^(digit-\d\.png): class", text, flags=re.MULTILINE) == names
    assert printed["python switch.py"].splitlines()[-1].startswith("mixed [")
    assert (project.folder / "mixed.onnx").stat().st_size > 0


@pytest.mark.long
def test_the_tutorial_on_methods_works_as_written(follow):
    printed = follow("own-method.md")
    assert "none failed" in printed["bitswitch plugins check mean-step"]
    assert "headroom" not in printed["bitswitch plugins show mean-step"]  # as changed
    rows = dict(line.split(maxsplit=1) for line in printed["python read.py"].splitlines()[2:])
    assert rows.keys() == {"double-rounding", "float", "mean-step", "per-channel"}
    assert rows["mean-step"].split().count("NaN") == 1  # it has no 32 bits


@pytest.mark.long
def test_the_tutorial_on_claims_works_as_written(project, follow):
    (project.folder / "results").mkdir()
    (project.folder / "results" / "reference").symlink_to(TOP / "results" / "reference")
    (project.folder / "config" / "suites" / "mini.yaml").symlink_to(TOP / "config/suites/mini.yaml")
    printed = follow("one-claim.md")
    assert "0 exceptions" in printed["bitswitch claims mini --id C40"]


@pytest.mark.slow
def test_the_tutorial_on_language_models_works_as_written(project, follow):
    printed = follow("language-model.md")
    rows = pd.read_csv(project.folder / "results" / "decoder" / "metrics.csv")
    tested = rows[(rows.split == "test") & (rows.metric == "perplexity")].astype({"policy": int})
    assert set(tested.status) == {"complete"}  # none is at the unigram bound
    by_place = tested.set_index(["experiment", "variant", "policy"]).value
    for place in (("weights-and-inputs", "double-rounding"), ("weights-alone", "double-rounding")):
        assert by_place[*place, 8] < by_place[*place, 2] < 28.5
    assert len(rows[rows.metric == "perplexity_paired_noise"]) == 9
    assert "weights-alone" in printed["python widths.py"]
    assert "valid" in printed["bitswitch validate speech.yaml"]
    page = (project.folder / "results" / "decoder" / "report.html").read_text()
    assert "w2a16" in page
    assert "paired by window" in page
