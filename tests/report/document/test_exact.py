"""Tests of ``bitswitch.report.document.exact``."""

from pathlib import Path
from typing import Any

from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.document import exact
from bitswitch.suite.suite import Suite
from tests.report import deployment_records as deployed
from tests.report import mixed


def texts(frames: Frames) -> dict[str, str]:
    return {fact.title: fact.text for fact in exact.find(frames).listed}


def deployments(results: Path, **parity: Any) -> Frames:
    suite = deployed.make_deployed(seeds=[0])
    for run in suite.runs.values():
        deployed.write_run(run, results)
    for run in suite.deployments.values():
        deployed.write_deployment(run, results, parity=parity)
    return Frames.read(collect.write(suite, results))


def test_deployed_networks_are_counted(results: Path):
    found = exact.find(deployments(results))
    by_title = {fact.title: fact for fact in found.listed}
    deployment, nested, rounding = (
        by_title[title].text for title in ("Deployment", "Nested codes", "Second rounding")
    )
    # Two networks, {8,6,4,2} and {4,3,2}: seven bit-widths with 1000 images each.
    assert "2 networks" in deployment
    assert "7,000 pairs" in deployment
    assert "6,937 have the codes of training in every layer, 63 differ" in deployment
    assert "0 for another reason. 21 of 7,000 predictions are" in deployment
    assert [link.anchor for link in by_title["Deployment"].tables] == ["deployment"]
    # One file of 8 bits beside models of 8, 6, 4 and 2 bits; one of 4 beside 4, 3 and 2.
    assert "100.0 % of those of the widest alone, and 40.0 to 44.4 %" in nested
    assert "from 8 bits to 6 bits 6.15 %" in rounding
    assert "; from 4 bits to 3 bits 3.15 %" in rounding
    assert found.missing == ("Hessian traces", "Readings of Eq. 6")


def test_what_is_not_exact_is_said(results: Path):
    text = texts(deployments(results, unexplained=2))["Deployment"]
    assert "6,923 have the codes" in text
    assert "14 for another reason" in text


def test_the_sign_of_the_objective_is_that_of_the_found_policies(results: Path):
    variants = {
        objective: {
            **mixed.HASB,
            "title": objective,
            "search": mixed.searching(
                {"name": "ilp", "options": {"objective": objective, "budget_kind": "exact"}},
                [{"cost": "average-bits", "at_most": 3}],
            ),
        }
        for objective in exact.SIGNS
    }
    signs = mixed.EXPERIMENTS["fronts"] | {"title": "Signs: both", "variants": variants}
    suite = mixed.make_mixed(experiments={"signs": signs})
    for run in suite.runs.values():
        mixed.write_run(run, results)
    for scoring in suite.sensitivities.values():
        facts = {"probes": 12.0, "largest_relative_error": scoring.seed / 100}
        mixed.write_scoring(scoring, results, facts=facts)
    for search in suite.searches.values():
        mixed.write_search(search, results)
    frames = Frames.read(collect.write(suite, results))
    found = {fact.title: fact for fact in exact.find(frames).listed}
    # The made-up policies narrow the layers with small traces first, whatever the objective says.
    sign = found["Sign of the printed objective"]
    assert "as printed, a layer's bit-width falls with its trace in 0 of 4 sub-nets" in sign.text
    assert "with the other sign, a layer's bit-width falls with its trace in 0 of 4" in sign.text
    assert [link.title for link in sign.tables] == ["Signs"]
    assert "HAWQ-V3 publishes of ResNet-18" in sign.text
    assert "0.0 to 1.0 % of its trace" in found["Hessian traces"].text
    assert "nothing at all in 2 of them" in found["Hessian traces"].text


def test_readings_of_eq_6_are_told_by_their_shares(suite: Suite, folder: Path):
    facts = exact.find(Frames.read(folder))
    text = texts(Frames.read(folder))["Readings of Eq. 6"]
    assert "negative in 70 % of the steps at the worst bit-width of a run (3)" in text
    assert "by the other readings: relative, 0 % (" in text
    assert facts.missing == ("Deployment", "Nested codes", "Second rounding", "Hessian traces")


def test_both_documents_say_the_same(folder: Path):
    page, section = exact.write(Frames.read(folder), folder)
    facts = exact.find(Frames.read(folder))
    for text in (page.read_text(), section.read_text()):
        assert all(fact.title in text for fact in facts.listed)
        assert "Not run in this suite: Deployment; Nested codes" in " ".join(text.split())
    assert '<a href="#readings">Readings of Eq. 6</a>' in page.read_text()
    assert r"\pageref{table:readings}" in section.read_text()
