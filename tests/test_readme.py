import re
from pathlib import Path


def test_the_library_example_runs_as_printed():
    (code,) = re.findall(r"```python\n(.*?)```", Path("README.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    assert names["logits"].shape == (1, 10)
    assert names["logits"].isfinite().all()
