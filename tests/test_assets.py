"""Files that come with the package."""

from pathlib import Path

import pytest

import bitswitch
from bitswitch import assets
from bitswitch.assets import asset
from bitswitch.errors import BitswitchError

TOP = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ["Snakefile", "workflow", "config", "profiles", "report"])
def test_a_clone_has_every_file_once(name):
    assert Path(bitswitch.__file__).with_name("assets").joinpath(name).is_symlink()
    assert asset(name) == TOP / name


def test_all_links_lead_somewhere():
    links = [path for path in Path(assets.__file__).parent.iterdir() if path.is_symlink()]
    assert {path.name for path in links} == {
        "Snakefile",
        "workflow",
        "config",
        "profiles",
        "report",
    }
    assert all(path.exists() for path in links)


def test_what_is_missing_is_named():
    with pytest.raises(BitswitchError, match=r"lacks report/nothing: there is no .*\n  Install it"):
        asset("report", "nothing")
