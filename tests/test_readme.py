import re
from pathlib import Path

from bitswitch.report.claims.vocabulary import EMBEDDED
from bitswitch.report.collect import published
from bitswitch.report.statistics import VERDICTS


def test_the_library_example_runs_as_printed():
    (code,) = re.findall(r"```python\n(.*?)```", Path("README.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    assert names["logits"].shape == (1, 10)
    assert names["logits"].isfinite().all()


def test_the_scorecard_shows_claims_and_verdicts_as_they_are_named():
    text = Path("README.md").read_text()
    rows = re.findall(r"^\| \*\*(C\d\d)\*\* (.+?) \| (.+?) \| .+? \| (.+?) \|$", text, re.MULTILINE)
    assert len(rows) == 5
    claims = published.claims()
    for name, statement, printed, said in rows:
        claim = claims[name]
        size = claim.printed or 0.0
        sizes = {"margin": f"{size:+.2f}", "magnitude": f"{size:g} times"}
        assert (statement, printed) == (claim.statement, sizes.get(claim.kind, "no exception"))
        assert any(said.startswith(verdict) for verdict in (EMBEDDED, *VERDICTS))
