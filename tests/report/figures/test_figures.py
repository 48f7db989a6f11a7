"""Tests of ``bitswitch.report.figures.figures``."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bitswitch.errors import ReportError
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.figures import figures
from bitswitch.suite.suite import Suite
from tests.report import deployment_records
from tests.report.conftest import EXPERIMENTS, NETWORK, make_suite
from tests.report.mixed import EXPERIMENTS as MIXED_OF_ALL
from tests.report.mixed import make_mixed

MIXED_EXPERIMENTS = {
    name: MIXED_OF_ALL[name] for name in ("hmt", "fronts", "searched-layers", "limited-share")
}


def test_a_suite_has_the_figures_that_its_experiments_name(suite: Suite):
    assert figures.names(suite) == ["figure2", "figure3", "figure7", "figure8"]
    other = make_suite(experiments={"readings": EXPERIMENTS["readings"]})
    assert figures.names(other) == ["figure2"]
    assert figures.names(make_suite(experiments={"separate": EXPERIMENTS["separate"]})) == []


def test_experiments_that_name_the_same_figure_have_one_each():
    alrs = EXPERIMENTS["alrs"]
    suite = make_suite(experiments={"alrs": alrs, "again": alrs | {"title": "Again"}})
    found = figures.of(suite)
    assert [name for name in found if name.endswith("again")] == [
        *("figure3-again", "figure7-again", "figure8-again")
    ]
    assert found["figure3-again"].title.endswith(", Again")
    assert found["figure3-again"].draw.keywords["experiment"] == "again"


def test_a_figure_of_another_network_is_told_apart_by_it():
    again = EXPERIMENTS["alrs"] | {"networks": ["other"]}
    network = {"title": "Other", "published": "none", **NETWORK}
    networks = {"resnet20": {"title": "ResNet-20", "published": "resnet20", **NETWORK}}
    suite = make_suite(
        networks=networks | {"other": network},
        experiments={"alrs": EXPERIMENTS["alrs"], "again": again},
    )
    found = figures.of(suite)
    assert list(found) == [
        *("figure3", "figure7", "figure8"),
        *("figure-weight-scales-other", "figure-activation-scales-other", "figure3-other"),
    ]
    assert found["figure3-other"].title.endswith("with ALRS, Other")
    assert found["figure3-other"].draw.keywords["experiment"] == "again"


MIXED = ("figure4", "figure5", "figure-searched-layers", "figure-limited-share")


def test_mixed_precision_has_its_figures():
    assert figures.names(make_mixed()) == [*MIXED]


def several(*networks: tuple[str, str], **experiments: Any) -> Suite:
    """Return a suite of networks with a key and a printed model each."""
    named = {key: {"title": key.upper(), "published": model, **NETWORK} for key, model in networks}
    keys = [key for key, _ in networks]
    chosen = {name: one | {"networks": keys} for name, one in experiments.items()}
    return make_suite(seeds=[0], networks=named, experiments=chosen)


PRINTED_FOUR = (
    *(("resnet20", "resnet20"), ("resnet18", "resnet18")),
    *(("mobilenetv2", "mobilenetv2"), ("resnet50", "resnet50")),
)


def test_figures_7_to_12_are_those_of_the_printed_models():
    found = figures.of(several(*PRINTED_FOUR, alrs=EXPERIMENTS["alrs"]))
    assert list(found) == [
        *("figure3", *(f"figure{number}" for number in range(7, 13))),
        *("figure3-resnet18", "figure3-mobilenetv2", "figure3-resnet50"),
        *("figure-weight-scales-mobilenetv2", "figure-activation-scales-mobilenetv2"),
    ]
    titles = {name: drawn.title for name, drawn in found.items()}
    assert titles["figure10"] == "Figure 10: gradients of the activation scales per layer, RESNET18"
    assert titles["figure11"] == "Figure 11: gradients of the weight scales per layer, RESNET50"
    unprinted = titles["figure-weight-scales-mobilenetv2"]
    assert unprinted == "Gradients of the weight scales per layer, MOBILENETV2"
    assert [drawn.is_further for drawn in found.values()] == [False] * 7 + [True] * 5


def test_two_networks_of_one_printed_model_share_no_file():
    suite = several(("a", "resnet20"), ("b", "resnet20"), ("c", "none"), alrs=EXPERIMENTS["alrs"])
    known = figures.names(suite)
    assert {"figure7", "figure-weight-scales-b", "figure-weight-scales-c"} <= set(known)
    assert len(known) == len(set(known)) == 3 + 6


@pytest.mark.parametrize("kind", ["alrs", *MIXED_EXPERIMENTS, "second-rounding"])
def test_every_network_of_an_experiment_has_every_figure(kind: str, results: Path):
    experiments = EXPERIMENTS | MIXED_EXPERIMENTS | deployment_records.EXPERIMENTS
    suite = several(("one", "resnet20"), ("other", "resnet18"), **{kind: experiments[kind]})
    found = figures.of(suite)
    frames = collect.collect(suite, results)
    of_networks = [drawn for drawn in found.values() if "network" in drawn.draw.keywords]
    drawn_of: dict[str, int] = Counter(one.draw.keywords["network"] for one in of_networks)
    assert drawn_of["one"] == drawn_of["other"] == len(of_networks) / 2
    for network, title in (("one", "ONE"), ("other", "OTHER")):
        mine = [one for one in of_networks if one.draw.keywords["network"] == network]
        assert all(one.title.endswith(title) for one in mine)
        assert all(one.draw(frames).texts[0].get_text().startswith(title) for one in mine)


def test_the_first_figure_4_is_of_a_network_that_has_sub_nets():
    suite = several(("one", "resnet20"), ("other", "resnet18"), hmt=MIXED_EXPERIMENTS["hmt"])
    assert figures.of(suite)["figure4"].draw.keywords["network"] == "one"
    fronts = MIXED_EXPERIMENTS["fronts"] | {"networks": ["other"]}
    both = suite.model_dump(exclude_defaults=True)["experiments"] | {"fronts": fronts}
    suite = make_suite(networks=suite.model_dump()["networks"], experiments=both)
    found = figures.of(suite)
    assert found["figure4"].draw.keywords["network"] == "other"
    assert "figure4-one" in found
    panels = {
        name: len(found[name].draw(collect.collect(suite, Path("none"))).axes)
        for name in ("figure4", "figure4-one")
    }
    assert panels == {"figure4": 3, "figure4-one": 2}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", MIXED)
def test_mixed_precision_without_runs_says_so(name: str, results: Path):
    folder = collect.write(make_mixed("hmt", "fronts", "searched-layers", "limited-share"), results)
    assert all(path.stat().st_size > 500 for path in figures.write(name, folder))


@pytest.mark.parametrize("name", ["figure2", "figure3", "figure7"])
def test_files_are_the_same_bytes_every_time(name: str, folder: Path):
    paths = figures.write(name, folder)
    assert [path.name for path in paths] == [f"{name}.{suffix}" for suffix in ("pdf", "png", "svg")]
    before = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in figures.write(name, folder)] == before
    assert before[0].startswith(b"%PDF")
    assert before[1].startswith(b"\x89PNG")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["figure3", "figure8"])
def test_without_runs_panels_say_so(name: str, suite: Suite, results: Path):
    folder = collect.write(suite, results)
    assert all(path.stat().st_size > 1000 for path in figures.write(name, folder))


def test_an_unknown_figure_has_a_nearest_name(folder: Path):
    with pytest.raises(ReportError, match=r"no figure 'figur7'\. Did you mean 'figure7'\?"):
        figures.write("figur7", folder)


@pytest.mark.parametrize("processes", [1, 2])
def test_figures_are_drawn_by_several_processes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, processes: int
):
    def write(name: str, place: Path, frames: Frames) -> list[Path]:
        if name == "figure7":
            raise ReportError("nothing to draw")
        (place / name).write_text(frames.suite.name)
        return []

    monkeypatch.setattr(figures, "write", write)
    frames = Frames.read(folder)
    figures.write_all(folder, frames, processes, ["figure2", "figure3"])
    assert (folder / "figure2").read_text() == (folder / "figure3").read_text() == "tiny"
    with pytest.raises(ReportError, match="nothing to draw"):
        figures.write_all(folder, frames, processes)
