from math import inf, isclose, sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitswitch.sensitivities.hessian.trace_samples import FREEDOM, TraceSamples


def samples(rows, images=None, population=inf):
    values = torch.tensor(rows, dtype=torch.float64)[:, :, None]
    images = [1] * len(rows) if images is None else images
    return TraceSamples(values, torch.tensor(images).double(), population)


def test_units_count_by_their_images():
    found = samples([[1.0, 3.0], [5.0, 5.0]], [30, 10])
    assert float(found.means) == 0.75 * 2 + 0.25 * 5
    assert isclose(float(found.standard_errors), 0.75 * sqrt(2 / 2))
    assert found.probes == 2


def test_a_whole_population_leaves_no_error():
    found = samples([[1.0, 3.0, 8.0, 0.0]], population=4)
    assert float(found.standard_errors) == 0
    assert found.relative(found.standard_errors) == 0


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 6), st.integers(0, 50))
def test_errors_of_draws_without_replacement_are_right_on_average(probes, seed):
    """Over all samples of a population, the squared error averages to the stated one."""
    population = torch.randn(7, generator=torch.Generator().manual_seed(seed)).double()
    picks = torch.combinations(torch.arange(7), probes)
    stated, made = [], []
    for pick in picks:
        found = TraceSamples(population[pick].view(1, -1, 1), torch.ones(1).double(), 7)
        stated.append(float(found.standard_errors) ** 2)
        made.append(float(found.means - population.mean()) ** 2)
    assert isclose(sum(stated), sum(made), rel_tol=1e-9)


def test_differences_between_images_are_the_sampling_error():
    found = samples([[1.0, 1.0], [2.0, 2.0], [6.0, 6.0]])
    assert float(found.standard_errors) == 0
    deviation = torch.tensor([1.0, 2.0, 6.0]).std() / sqrt(3)
    assert isclose(float(found.sampling_errors), float(deviation), rel_tol=1e-6)
    assert float(samples([[1.0, 2.0]]).sampling_errors) == inf


def test_few_units_need_more_probes_for_trusted_errors():
    assert samples([[1.0, 1.0]]).probes_for(0.5) == 1 + FREEDOM
    assert samples([[1.0, 1.0]] * 10).probes_for(0.5) == 1 + FREEDOM / 10
    assert samples([[1.0, 1.0]] * 100).probes_for(0.5) == 2


@pytest.mark.parametrize("population", [inf, 64])
def test_as_many_probes_as_are_asked_for_reach_the_error(population):
    rows = torch.randn(40, 2, 1, generator=torch.Generator().manual_seed(0)).double() + 3
    found = TraceSamples(rows, torch.ones(40).double(), population)
    probes = found.probes_for(0.005)
    assert 2 < probes <= population
    reached = found._spread * (1 / probes - 1 / population)
    fewer = found._spread * (1 / (probes - 1) - 1 / population)
    allowed = (0.005 * found.means) ** 2
    assert reached <= allowed < fewer


def test_further_probes_are_put_beside_the_first():
    more = samples([[1.0, 3.0]]).and_more(samples([[5.0, 7.0]]))
    assert more.probes == 4
    assert float(more.means) == 4
