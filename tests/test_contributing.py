"""The first change that CONTRIBUTING.md walks through does what it says."""

import re
from pathlib import Path

import pytest

from bitswitch import costs

from . import test_costs

TEXT = (Path(__file__).resolve().parents[1] / "CONTRIBUTING.md").read_text()


def test_the_first_change_turns_its_test_green(monkeypatch):
    test, method = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names = {**vars(test_costs), "Constraint": costs.Constraint}
    exec(test, names)
    with pytest.raises(AttributeError, match="slack"):
        names["test_what_a_policy_leaves_of_a_budget"]()
    written: dict[str, type] = {}
    exec(method, vars(costs), written)
    monkeypatch.setattr(
        costs.Constraint, "slack", vars(written["Constraint"])["slack"], raising=False
    )
    names["test_what_a_policy_leaves_of_a_budget"]()
