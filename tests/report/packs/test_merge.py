"""Tests of ``bitswitch.report.packs.merge``."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitswitch.errors import RecordError
from bitswitch.report.analysis import health
from bitswitch.report.analysis.origin import MIXED, stamp
from bitswitch.report.packs import pack
from bitswitch.report.packs.merge import merge
from bitswitch.report.packs.verify import verify_pack
from bitswitch.results import archive
from bitswitch.suite.suite import Suite
from tests.report.conftest import make_suite, seal
from tests.report.packs.conftest import suite_of, write_all


@pytest.fixture
def site(
    packs_suite: Suite, written: Path, tmp_path: Path, known_plugins: None
) -> Callable[..., Path]:
    """Return a function that packs the results of a site, which it may change before."""

    def make(name: str, change: Callable[[Path], Any] = lambda results: None) -> Path:
        results = tmp_path / name
        shutil.copytree(written, results)
        change(results)
        pack.write(packs_suite, results, tmp_path / f"{name}.tar.xz", allow_mixed=True)
        return tmp_path / f"{name}.tar.xz"

    return make


def without(*kinds: str) -> Callable[[Path], None]:
    """Return what removes the jobs of some kinds."""

    def change(results: Path) -> None:
        for kind in kinds:
            shutil.rmtree(results / kind)

    return change


def rewrite(folder: Path, file: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change the first JSON object of a file of a finished job, as another machine had written."""
    first, *others = (folder / file).read_text().splitlines()
    content = (folder / file).read_text() if file.endswith(".json") else first
    lines = [json.dumps(change(json.loads(content))), *([] if file.endswith(".json") else others)]
    (folder / file).write_text("\n".join(lines) + "\n")
    seal(folder)


def test_parts_of_a_suite_become_all_of_it(site: Callable[..., Path], packed: Path, tmp_path: Path):
    parts = [site("a", without("searches")), site("b", without("runs", "sensitivities"))]
    done = merge(parts, tmp_path / "all.tar.xz")
    assert (tmp_path / "all.tar.xz").read_bytes() == packed.read_bytes()
    assert (done.agreed, done.conflicts) == (1, ())


def test_equal_numbers_are_one_job_whatever_time_they_took(
    site: Callable[..., Path], packs_suite: Suite, packed: Path, tmp_path: Path
):
    key = next(iter(packs_suite.runs))

    def slower(results: Path) -> None:
        rewrite(results / "runs" / key, "result.json", lambda one: one | {"wall_time_s": 9e3})

    for files in ([packed, site("slow", slower)], [packed, packed]):
        done = merge(files, tmp_path / "all.tar.xz")
        assert (done.agreed, done.conflicts) == (done.jobs, ())
        assert (tmp_path / "all.tar.xz").read_bytes() == packed.read_bytes()


@pytest.fixture
def other(site: Callable[..., Path], packs_suite: Suite) -> Path:
    """A pack of a machine on which one run came out differently."""
    key = next(iter(packs_suite.runs))

    def change(results: Path) -> None:
        folder = results / "runs" / key
        (folder / "correct.jsonl").write_text("")
        rewrite(folder, "metrics.jsonl", lambda line: line | {"value": 12.5})
        rewrite(folder, "provenance.json", lambda made: made | {"device_name": "Other"})

    return site("other", change)


def test_other_numbers_are_both_kept_and_named(
    packed: Path, other: Path, packs_suite: Suite, tmp_path: Path
):
    key = next(iter(packs_suite.runs))
    into = tmp_path / "all.tar.xz"
    done = merge([packed, other], into)
    assert done.conflicts == (f"{key}: correct.jsonl, line 1", f"{key}: metrics.jsonl, line 1")
    assert f"repeats/1/runs/{key}/metrics.jsonl" in archive.checked(into).members
    with pack.opened(packed) as alone, pack.opened(into) as both:
        expected, frames = alone.frames(), both.frames()
    assert frames.metrics.equals(expected.metrics)
    row = frames.repeats[frames.repeats.file == "metrics.jsonl"].iloc[0]
    assert (row.job, row.number, row.device_name, row.line) == (key, 1, "Other", 1)
    assert json.loads(row.repeated)["value"] == 12.5 != json.loads(row.kept)["value"]
    (fact,) = [one for one in health.summary(frames) if "again" in one.title]
    assert f"{key} (correct.jsonl, line 1)" in fact.text
    assert verify_pack(into) == []


def test_repeats_survive_another_merge(packed: Path, other: Path, tmp_path: Path):
    first = tmp_path / "first.tar.xz"
    merge([packed, other], first)
    merge([first, other, packed], tmp_path / "second.tar.xz")
    assert (tmp_path / "second.tar.xz").read_bytes() == first.read_bytes()
    merge([other, first], tmp_path / "turned.tar.xz")
    with pack.opened(tmp_path / "turned.tar.xz") as turned:
        assert set(turned.frames().repeats.device_name) == {"Xeon"}


def test_results_of_other_code_are_refused_or_stamped(
    site: Callable[..., Path], packs_suite: Suite, packed: Path, tmp_path: Path
):
    def edit(results: Path) -> None:
        for folder in (results / "runs").iterdir():
            rewrite(folder, "provenance.json", lambda made: made | {"code_hash": "0ther"})
        shutil.rmtree(results / "runs" / next(iter(packs_suite.runs)))

    newer = site("newer", edit)
    into = tmp_path / "all.tar.xz"
    with pytest.raises(RecordError, match=r"different code versions(.|\n)*merge \.\.\. --allow"):
        merge([newer, packed], into)
    assert not into.exists()
    merge([newer, packed], into, allow_mixed=True)
    with pack.opened(into) as mixed, pack.opened(packed) as pure:
        assert stamp(mixed.frames(), []).endswith(MIXED)
        assert MIXED not in stamp(pure.frames(), [])


def test_packs_of_other_suites_are_refused(
    packed: Path, packs_suite: Suite, written: Path, tmp_path: Path, known_plugins: None
):
    longer = packs_suite.model_dump(exclude_defaults=True)["networks"]
    longer["resnet20"]["training"]["epochs"] = 4
    for changes, message in (
        ({"name": "small"}, r"of suite 'tiny', .* of 'small'"),
        ({"title": "changed"}, r"another version of suite 'tiny'.*suite\.yaml differ in title"),
        ({"networks": longer}, r"suite\.yaml differ in networks\.resnet20\.training\.epochs"),
    ):
        content = packs_suite.model_dump(exclude_defaults=True) | changes
        pack.write(make_suite(**content), written, tmp_path / "other.tar.xz")
        with pytest.raises(RecordError, match=message):
            merge([packed, tmp_path / "other.tar.xz"], tmp_path / "all.tar.xz")


def seeds_packed(tmp_path: Path, name: str, seeds: list[int], **changes: Any) -> Path:
    """Return a pack of a site that has run these seeds of the suite."""
    suite, file = suite_of(seeds, **changes), tmp_path / f"{name}.tar.xz"
    write_all(suite, tmp_path / name)
    pack.write(suite, tmp_path / name, file)
    return file


def test_sites_that_run_other_seeds_become_what_one_machine_had_packed(
    tmp_path: Path, known_plugins: None
):
    a, b = (seeds_packed(tmp_path, name, seeds) for name, seeds in (("a", [1]), ("b", [0, 2])))
    whole = seeds_packed(tmp_path, "whole", [0, 1, 2])
    into = tmp_path / "all.tar.xz"
    for files in ([b, a], [a, whole]):
        done = merge(files, into)
        assert into.read_bytes() == whole.read_bytes()
        assert done.conflicts == ()
    assert verify_pack(into) == []
    with pack.opened(into) as opened:
        runs = opened.frames().metrics.query("run == run")
        assert set(runs.seed) == {0, 1, 2}


def test_packs_that_other_plugins_expanded_are_refused(
    packed: Path, packs_suite: Suite, tmp_path: Path, known_plugins: None
):
    found = archive.checked(packed)
    expansion = json.loads(found.members["tiny/expansion.json"])
    expansion["cells"][0]["skipped"] = "it cannot"
    changed = found.members | {"tiny/expansion.json": json.dumps(expansion).encode()}
    archive.write(tmp_path / "changed.tar.xz", changed, {"suite": "tiny"})
    with pytest.raises(RecordError, match=r"plugins made their cells differently"):
        merge([packed, tmp_path / "changed.tar.xz"], tmp_path / "all.tar.xz")


def test_a_damaged_pack_is_not_merged(packed: Path, tmp_path: Path):
    torn = tmp_path / "torn.tar.xz"
    torn.write_bytes(packed.read_bytes()[:-40])
    with pytest.raises(RecordError, match=r"torn\.tar\.xz cannot be read"):
        merge([packed, torn], tmp_path / "all.tar.xz")
    assert not (tmp_path / "all.tar.xz").exists()
