import pytest

from bitswitch import stages
from bitswitch.deployment import container
from bitswitch.deployment.loading import load

from . import exported


@pytest.fixture(scope="session")
def pair():
    """Return a quantized network and its integer model; leave both at their bit-widths."""
    run = exported.run_of()
    model = exported.quantized(run)
    return model, exported.integers(model, run)


@pytest.fixture(scope="session")
def file(tmp_path_factory):
    """Return a file, not to be changed."""
    run = exported.run_of(bitset=(4, 2))
    path = tmp_path_factory.mktemp("file") / "model.safetensors"
    content = exported.artifact(exported.quantized(run), run).content
    path.write_bytes(container.encoded(*content))
    return path


@pytest.fixture
def changed(file, tmp_path):
    """Return a function that loads the file with other content, its checksum made to fit."""

    def change(edit):
        description, tensors = container.read(file)
        edit(description, tensors)
        path = tmp_path / "changed.safetensors"
        path.write_bytes(container.encoded(description, tensors))
        return load(path)

    return change


@pytest.fixture(scope="session")
def trained(tmp_path_factory, tiny_data):
    """Return a run of two epochs and the folder of its results."""
    run = exported.run_of(bitset=(8, 6, 4, 2))
    training = run.training.model_copy(update={"epochs": 2, "learning_rate": 3e-3})
    run = run.model_copy(update={"training": training})
    results = tmp_path_factory.mktemp("results")
    stages.train(run, results, tiny_data, "cpu")
    return run, results
