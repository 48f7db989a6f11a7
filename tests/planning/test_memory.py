import pytest

from bitswitch.planning.memory import training_bytes
from bitswitch.planning.networks import network_size
from bitswitch.runtime import cache
from bitswitch.spec.run import Choice

WIDTH, BLOCKS, TOKENS, WORDS = 16, 3, 32, 300


@pytest.fixture
def decoder(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FOLDER", tmp_path)

    def make(**training):
        run = tiny_run(update="conventional", alrs=None)
        size = {"width": WIDTH, "ffn": 4 * WIDTH, "blocks": BLOCKS, "heads": 2, "kv_heads": 1}
        sizes = {"train": 16, "held_out": 1, "test": 1}
        paths = {split: f"{split}.txt" for split in sizes}
        text = {**paths, "context": TOKENS, "vocabulary": WORDS, "sizes": sizes}
        changes = {
            "model": Choice(name="llama", options={**size, "weights": "none"}),
            "dataset": Choice(name="text-files", options=text),
            "training": run.training.model_copy(update={"batch_size": 16, **training}),
        }
        return run.model_copy(update=changes)

    return make


def test_state_is_weights_gradients_and_moments(decoder):
    """What does not shrink with the part of a batch: SGD keeps a number less than Adam."""
    run = decoder()
    parameters = network_size(run)["parameters"]

    def state(optimizer):
        whole, half = (
            training_bytes(decoder(accumulate=parts, optimizer=optimizer)) for parts in (1, 2)
        )
        return 2 * half - whole

    assert state("adamw") - state("sgd") == pytest.approx(4 * parameters, abs=8)
    rotary = BLOCKS * 2 * 2048 * WIDTH // 2 * 4
    assert state("adamw") == pytest.approx(16 * parameters + rotary, abs=8)


def test_blocks_that_are_computed_again_keep_what_they_read(decoder):
    """Logits and their gradient, the input of every block, and one block's share of the rest."""
    parts = decoder(accumulate=16), decoder(accumulate=16, checkpoint_activations=True)
    whole, again = map(training_bytes, parts)
    state = 2 * training_bytes(decoder(accumulate=16)) - training_bytes(decoder(accumulate=8))
    logits = 2 * TOKENS * WORDS * 4
    inputs = BLOCKS * TOKENS * WIDTH * 4
    assert again - state > logits + inputs
    assert again < whole - 0.5 * (whole - state - logits)
