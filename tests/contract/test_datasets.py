"""What every installed dataset promises, without its data."""

import subprocess
import sys

import pytest

from bitswitch.plugins import registry
from bitswitch.testing.datasets import DATASET_CHECKS


@pytest.fixture(params=registry.names("datasets"))
def dataset(request, tmp_path_factory):
    options = {}
    if request.param == "text-files":
        text = tmp_path_factory.mktemp("texts") / "text.txt"
        text.write_text("All the world's a stage. " * 99)
        options = dict.fromkeys(("train", "held_out", "test"), str(text))
    return registry.create("datasets", request.param, options)


@pytest.mark.parametrize("check", DATASET_CHECKS, ids=lambda check: check.__name__)
def test_contract(check, dataset):
    check(dataset)


def test_it_names_its_source(dataset):
    assert dataset.source


def test_importing_all_of_them_imports_no_heavy_library():
    code = (
        "import sys; from bitswitch.plugins import registry\n"
        "for group in ('datasets', 'models'):\n"
        "    for name in registry.names(group): registry.load(group, name).Options\n"
        "print(sorted({'torchvision', 'timm', 'sklearn', 'matplotlib'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
