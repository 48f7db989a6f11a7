"""The tutorial, done as it stands there."""

import re

import pytest

from .test_stranger import TOP, Reader, blocks

TUTORIAL = TOP / "docs" / "tutorial" / "switching.md"


@pytest.mark.slow
def test_the_tutorial_works_as_written(project, tmp_path_factory):
    reader = Reader(project, tmp_path_factory.mktemp("environment"))
    printed = {}
    for block in blocks(TUTORIAL):
        if block.language == "sh":
            printed |= {line: reader.type(line) for line in block.content.splitlines()}
        else:
            (project.folder / block.file).write_text(block.content)
    inferred = {line: text for line, text in printed.items() if line.startswith("bitswitch infer")}
    policies = [text.split(",")[0] for text in inferred.values()]
    assert policies == ["8 bits", "2 bits", "2 bits", "8 bits"]
    names = sorted(path.name for path in project.folder.glob("digit-*.png"))
    for text in inferred.values():
        assert re.findall(r"^(digit-\d\.png): class", text, flags=re.MULTILINE) == names
    assert printed["python switch.py"].splitlines()[-1].startswith("mixed [")
    assert (project.folder / "mixed.onnx").stat().st_size > 0
