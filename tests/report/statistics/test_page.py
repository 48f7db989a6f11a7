"""Holds docs/explanation/statistics.md to what is measured."""

import re

import pytest

from tests.report.statistics import page


@pytest.mark.parametrize("name", page.FAST)
def test_tables_of_the_page_are_up_to_date(name):
    assert page.shown(name) == page.FAST[name]()


@pytest.mark.long
@pytest.mark.parametrize("name", page.SLOW)
def test_measured_shares_of_the_page_are_up_to_date(name):
    shown, made = (
        [float(share) for share in re.findall(r"([\d.]+) %", text)]
        for text in (page.shown(name), page.SLOW[name]())
    )
    assert shown == pytest.approx(made, abs=1.0)
