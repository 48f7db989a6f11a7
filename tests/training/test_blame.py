import pytest
import torch

from bitswitch.errors import DatasetError, DeviceError, PluginError
from bitswitch.training.blame import blamed, blamed_batches
from bitswitch.training.health import Diverged


def test_an_error_names_plugin_hook_and_cause():
    with (
        pytest.raises(
            PluginError, match=r"^open\(\) of dataset 'x' fails: ZeroDivisionError: div"
        ) as e,
        blamed("dataset 'x'", "open()"),
    ):
        _ = 1 / 0
    assert isinstance(e.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("error", [DatasetError("missing"), Diverged("nan")])
def test_errors_that_already_say_enough_pass(error):
    with pytest.raises(type(error)) as caught, blamed("dataset 'x'", "open()"):
        raise error
    assert caught.value is error


def test_signals_pass():
    with pytest.raises(KeyboardInterrupt), blamed("dataset 'x'", "open()"):
        raise KeyboardInterrupt


def test_full_gpu_memory_is_nobodys_fault():
    with pytest.raises(DeviceError, match="Out of GPU memory"), blamed("model 'x'", "step"):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")


def test_batches_pass_until_one_fails():
    def broken():
        yield 1
        yield 2
        raise ValueError("no more")

    seen = []
    with pytest.raises(PluginError, match=r"train_batches\(\) of dataset 'x' fails: ValueError"):
        for item in blamed_batches(broken(), "dataset 'x'", "train_batches()"):
            seen.append(item)
    assert seen == [1, 2]


def test_batches_end_where_they_end():
    assert list(blamed_batches(iter([1, 2]), "x", "y")) == [1, 2]
