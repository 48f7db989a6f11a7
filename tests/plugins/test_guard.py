import pytest
import torch

from bitswitch.errors import DatasetError, DeviceError, Diverged, PluginError
from bitswitch.plugins.guard import guarded_batches, plugin_errors


def test_an_error_names_plugin_hook_and_cause():
    with pytest.raises(PluginError) as caught, plugin_errors("dataset 'x'", "open()"):
        raise KeyError("images")
    assert str(caught.value) == "open() of dataset 'x' fails: KeyError: 'images'"
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("error", [DatasetError("missing"), Diverged("nan")])
def test_errors_that_already_say_enough_pass(error):
    with pytest.raises(type(error)) as caught, plugin_errors("dataset 'x'", "open()"):
        raise error
    assert caught.value is error


def test_signals_pass():
    with pytest.raises(KeyboardInterrupt), plugin_errors("dataset 'x'", "open()"):
        raise KeyboardInterrupt


def test_full_gpu_memory_is_nobodys_fault():
    with pytest.raises(DeviceError, match="Out of GPU memory"), plugin_errors("model 'x'", "step"):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")


def test_batches_pass_until_one_fails():
    def broken():
        yield 1
        yield 2
        raise ValueError("no more")

    batches = guarded_batches(broken(), "dataset 'x'", "train_batches()")
    assert [next(batches), next(batches)] == [1, 2]
    with pytest.raises(PluginError, match=r"train_batches\(\) of dataset 'x' fails: ValueError"):
        next(batches)


def test_batches_end_where_they_end():
    assert list(guarded_batches(iter([1, 2]), "x", "y")) == [1, 2]
