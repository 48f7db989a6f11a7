"""Every command line of the documents can be typed.

Pages that take minutes are done from top to bottom by other tests (``FOLLOWED``). Of the others,
which need a GPU, a cluster, data or hours, each line is read by the program that it calls: options,
suites, targets, files; nothing is started.
"""

import re
from pathlib import Path

import pytest
import yaml

from tests.docs import commands
from tests.docs.commands import PAGES, TOP

FOLLOWED = {
    "docs/howto/add-a-method.md": "tests/workflow/test_stranger.py",
    "docs/howto/add-a-search.md": "tests/workflow/test_stranger.py",
    "docs/howto/add-a-table.md": "tests/workflow/test_stranger.py",
    "docs/howto/add-a-task.md": "tests/tasks/test_own_task.py",
    "docs/howto/put-a-table-in-a-paper.md": "tests/report/document/test_pdf.py",
    "docs/howto/share-results.md": "tests/report/packs/test_pack.py",
    "docs/tutorial/language-model.md": "tests/workflow/test_tutorial.py",
    "docs/tutorial/own-method.md": "tests/workflow/test_tutorial.py",
    "docs/tutorial/switching.md": "tests/workflow/test_tutorial.py",
}
"""The test that does what a page says."""
LINES = [line for page in PAGES for line in commands.lines(page) if line.page not in FOLLOWED]


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{Path(line.page).stem}: {line.text}")
def test_what_is_called_takes_these_words(line):
    commands.check_line(line.text, line.page)


@pytest.mark.parametrize("page", FOLLOWED)
def test_pages_that_take_minutes_are_followed(page):
    assert Path(page).name in (TOP / FOLLOWED[page]).read_text()


def test_the_first_program_runs_as_printed(capsys):
    page = (TOP / "docs" / "index.md").read_text()
    (code,) = [
        content for language, content in commands.FENCE.findall(page) if language == "python"
    ]
    exec(code, {})
    errors = [int(error) for error in re.findall(r"bits: (\d+) %", capsys.readouterr().out)]
    assert errors == sorted(errors)
    assert len(set(errors)) == 4


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_programs_and_settings_can_be_read(page):
    for language, content in commands.FENCE.findall(page.read_text()):
        if language == "python":
            compile(content, str(page), "exec")
        elif language == "yaml":
            yaml.safe_load(content)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bitswitch plann mini", "has no command 'plann'"),
        ("bitswitch plan mini --claim C40", "--claim"),
        ("bitswitch plan minni", "no suite 'minni'"),
        ("make quick-and-dirty", "quick-and-dirty"),
        ("snakemake --cores 8 all --config suit=mini", "suit'"),
        ("pip install 'bitswitch[slum]'", "slum"),
        ("torchrun -m bitswitch train paper RUN --process 8", "--process"),
        ("docker run bitswitch snakemake --cores 8 all --config suite=minni", "minni"),
        ("cd x && bitswitsh plan mini", "no program"),
    ],
)
def test_what_cannot_be_typed_is_found(text, message):
    with pytest.raises(Exception, match=re.escape(message)):
        commands.check_line(text, "README.md")
