import re
from pathlib import Path

from PIL import Image

from bitswitch.plugins import registry

TEXT = Path("README.md").read_text()


def test_the_library_example_runs_as_printed():
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    assert names["logits"].shape == (1, 10)
    assert names["logits"].isfinite().all()


def test_the_picture_of_a_scorecard_can_be_read():
    (path,) = re.findall(r"!\[.+?\]\((.+?)\)", TEXT)
    with Image.open(path) as picture:
        assert picture.width >= 1000
    assert Path(path).stat().st_size <= 300_000


def test_it_counts_the_methods_that_are_installed():
    (count,) = re.findall(r"\*\*(\d+) methods\*\*", TEXT)
    ours = [name for name in registry.names("methods") if name not in ("float32", "zero-step")]
    assert len(ours) == int(count)
