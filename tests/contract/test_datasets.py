"""What every installed dataset promises, without its data."""

import subprocess
import sys

import pytest
import torch

from bitswitch import plugins
from bitswitch.errors import DatasetError

SPLITS = {"train", "held_out", "test"}


@pytest.fixture(params=plugins.names("datasets"))
def dataset(request):
    return plugins.create("datasets", request.param, {})


def test_it_is_described_without_data(dataset):
    channels, height, width = dataset.shape()
    assert channels == 3
    assert min(height, width) >= 8
    assert dataset.sizes().keys() == SPLITS
    assert min(dataset.sizes().values()) > 0
    assert dataset.classes >= 2
    assert dataset.stamp
    assert dataset.source


def test_missing_data_are_one_clear_message(dataset, tmp_path):
    for use in (dataset.check, lambda root: dataset.open(root, torch.device("cpu"))):
        with pytest.raises(DatasetError, match=r"bitswitch data (prepare|check)") as caught:
            use(tmp_path)
        assert str(tmp_path) in str(caught.value)
        assert len(str(caught.value).splitlines()) <= 5


def test_importing_all_of_them_imports_no_heavy_library():
    code = (
        "import sys; from bitswitch import plugins\n"
        "for group in ('datasets', 'models'):\n"
        "    for name in plugins.names(group): plugins.load(group, name).Options\n"
        "print(sorted({'torchvision', 'timm', 'sklearn', 'matplotlib'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
