import pytest
import torch
from scipy.stats import spearmanr

from bitswitch.searches.genetic.predictor import Predictor, PredictorOptions

BITSET = (8, 6, 4, 2)
TINY = {"layers": 2, "width": 32, "epochs": 1, "steps": 200}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(count, entries=6, seed=0):
    indices = torch.randint(4, (count, entries), generator=generator(seed)).tolist()
    return [tuple(BITSET[index] for index in row) for row in indices]


def top1(vector):
    return 88 - sum((1 + place) * 2.0 ** (5 - bits) for place, bits in enumerate(vector)) / 4


def fitted(vectors, seed=0, **options):
    predictor = Predictor(BITSET, len(vectors[0]), PredictorOptions(**{**TINY, **options}))
    error = predictor.fit(vectors, [top1(vector) for vector in vectors], generator(seed))
    return predictor, error


def test_inputs_are_one_hot():
    predictor = Predictor((8, 4, 2), 2, PredictorOptions())
    expected = [[1, 0, 0, 0, 0, 1], [0, 1, 0, 0, 1, 0]]
    assert predictor.one_hot([(8, 2), (4, 4)]).tolist() == expected


def test_the_published_network_has_seven_hidden_layers_and_a_last_one_without_bias():
    predictor, _ = fitted(drawn(4), layers=7, width=200, steps=1)
    shapes = [tuple(p.shape) for p in predictor.net.parameters() if p.dim() == 2]
    assert shapes == [(200, 24), *[(200, 200)] * 6, (1, 200)]
    assert sum(p.dim() == 1 for p in predictor.net.parameters()) == 7
    defaults = PredictorOptions()
    assert (defaults.layers, defaults.width, defaults.epochs) == (7, 200, 100)
    assert (defaults.learning_rate, defaults.weight_decay) == (4e-4, 1e-5)


def test_unseen_policies_are_ranked():
    predictor, error = fitted(drawn(150), learning_rate=2e-3)
    unseen = drawn(200, seed=1)
    truth = [top1(vector) for vector in unseen]
    predicted = predictor.predict(unseen)
    assert spearmanr(predicted, truth).statistic > 0.95
    deviations = torch.tensor(predicted) - torch.tensor(truth)
    assert error < torch.tensor(truth).std() / 2
    assert float(deviations.square().mean().sqrt()) < 2 * error


def test_the_epoch_of_least_validation_error_is_kept():
    vectors = drawn(40)
    found, order = [], torch.randperm(40, generator=generator())
    for steps in (1, 3, 10, 30):
        predictor, error = fitted(vectors, steps=steps)
        held = [vectors[int(index)] for index in order[:8]]
        deviations = [a - top1(b) for a, b in zip(predictor.predict(held), held, strict=True)]
        rms = (sum(d * d for d in deviations) / 8) ** 0.5
        assert error == pytest.approx(rms, rel=1e-3)
        found.append(error)
    assert found == sorted(found, reverse=True)


def test_it_starts_from_the_mean_or_as_published_from_zero():
    vectors = drawn(20)
    values = {
        centred: fitted(vectors, steps=1, learning_rate=1e-9, centred=centred)[0].predict(vectors)
        for centred in (True, False)
    }
    mean = sum(map(top1, vectors)) / 20
    assert all(abs(value - mean) < 15 for value in values[True])
    assert all(abs(value) < 15 for value in values[False])


@pytest.mark.parametrize(
    ("count", "batch_size", "epochs", "steps", "expected"),
    [(10, 4, 3, 1, 6), (10, 4, 1, 7, 8), (2, 4, 1, 3, 3)],
)
def test_there_are_enough_steps(monkeypatch, count, batch_size, epochs, steps, expected):
    taken = []
    adam = torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: taken.append(adam(self)))
    fitted(drawn(count), batch_size=batch_size, epochs=epochs, steps=steps)
    assert len(taken) == expected


def test_the_generator_decides_and_global_state_is_left_alone():
    vectors = drawn(12)
    before = torch.random.get_rng_state()
    first, again, other = (fitted(vectors, seed=s)[0].predict(vectors) for s in (0, 0, 1))
    assert first == again != other
    assert torch.equal(before, torch.random.get_rng_state())
