from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitswitch.costs import Constraint
from bitswitch.searches.sampling import Sampler, SamplingOptions, tilted
from bitswitch.searches.space import Space

from .exact_problems import cost_model, problem

KINDS = ["conditional", "rejection", "repair"]


def sampler_of(posed, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    return Sampler(Space.of(posed), SamplingOptions(**options), generator)


def average(bits, layers=19, kind="conditional", **options):
    """Return a sampler of networks whose layers count the same."""
    costs = cost_model([1] * layers)
    return sampler_of(problem(costs, Constraint("average-bits", bits)), sampling=kind, **options)


@settings(max_examples=60, deadline=None)
@given(
    weights=st.lists(st.integers(1, 10**6), min_size=1, max_size=8),
    share=st.floats(0, 1.2),
    cost=st.sampled_from(["bitops", "size", "average-bits", "activation-bits"]),
    kind=st.sampled_from(KINDS),
    tied=st.booleans(),
    first_last=st.booleans(),
    seed=st.integers(0, 99),
)
def test_every_draw_is_within_the_budget(weights, share, cost, kind, tied, first_last, seed):
    costs = cost_model(weights, weights[::-1], first_last=first_last)
    least, most = costs.range(cost, (8, 6, 4, 2))
    posed = problem(costs, Constraint(cost, least + share * (most - least)), tied=tied)
    sampler = sampler_of(posed, seed, sampling=kind, attempts=5)
    for _ in range(5):
        policy = sampler.space.policy(sampler.draw())
        assert posed.allows(policy)
        assert set(policy.values()) <= set(posed.choices)


@settings(max_examples=50, deadline=None)
@given(
    prices=st.lists(st.lists(st.floats(0.01, 1e6), min_size=3, max_size=3), min_size=1, max_size=6),
    share=st.floats(0.01, 0.99),
)
def test_tilted_probabilities_have_the_mean_and_the_form_asked_for(prices, share):
    table = torch.tensor(prices, dtype=torch.float64)
    least, most = float(table.amin(1).sum()), float(table.amax(1).sum())
    wanted = least + share * (most - least)
    found = tilted(table, wanted)
    torch.testing.assert_close(found.sum(1), torch.ones(len(prices), dtype=torch.float64))
    assert float((found * table).sum()) == pytest.approx(wanted, rel=1e-6)


def test_tilted_probabilities_are_exponential_with_one_rate_for_all_layers():
    table = torch.tensor([[8.0, 4.0, 2.0], [4.0, 2.0, 1.0]], dtype=torch.float64)
    logarithms = tilted(table, 5.0).log()
    rates = logarithms.diff(dim=1) / table.diff(dim=1)
    torch.testing.assert_close(rates, torch.full_like(rates, float(rates[0, 0])))


@pytest.mark.parametrize(("end", "column"), [(4.0, 1), (10.0, 0)])
def test_tilted_probabilities_at_the_ends_are_certain(end, column):
    table = torch.tensor([[8.0, 3.0], [2.0, 1.0]], dtype=torch.float64)
    assert tilted(table, end)[:, column].min() > 1 - 1e-6


def test_policies_of_equal_cost_are_equally_likely():
    sampler = average(4.0, layers=3, slack=0.01, attempts=300)
    counts = Counter(sampler.draw() for _ in range(2100))
    assert len(counts) == 10
    assert all(sum(vector) == 12 for vector in counts)
    assert all(abs(count - 210) < 5 * 210**0.5 for count in counts.values())


def test_conditional_draws_are_what_rejection_accepts():
    counts = {}
    for kind in ("conditional", "rejection"):
        sampler = average(13 / 3, layers=6, kind=kind, slack=0.01, attempts=1000)
        drawn = [sampler.draw() for _ in range(300)]
        assert all(sum(vector) == 26 for vector in drawn)
        counts[kind] = Counter(bits for vector in drawn for bits in vector)
    for bits in (8, 6, 4, 2):
        one, other = counts["conditional"][bits], counts["rejection"][bits]
        assert abs(one - other) < 5 * (one + other) ** 0.5


def test_at_a_low_budget_only_conditional_draws_come_near_it_by_themselves():
    near = average(3.0)
    assert all(2.5 <= sum(near.draw()) / 19 <= 3.0 for _ in range(50))
    assert float(
        (near.probabilities * torch.tensor([8.0, 6.0, 4.0, 2.0])).sum(1).mean()
    ) == pytest.approx(2.75)
    uniform = torch.randint(4, (2000, 19), generator=torch.Generator().manual_seed(0)) * 2 + 2
    assert (uniform.float().mean(1) <= 3.0).float().mean() < 0.001


def test_repair_uses_up_the_budget_to_within_one_reduction():
    sampler = average(3.0, kind="repair")
    for _ in range(50):
        assert 3.0 - 2 / 19 < sum(sampler.draw()) / 19 <= 3.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("bits", "expected"), [(2.0, 2), (8.0, None), (100.0, None)])
def test_budgets_at_either_end(kind, bits, expected):
    sampler = average(bits, layers=4, kind=kind)
    drawn = sampler.draw()
    assert expected is None or drawn == (expected,) * 4


@pytest.mark.parametrize("kind", KINDS)
def test_different_policies_until_there_are_no_more(kind):
    sampler = average(4.0, layers=3, kind=kind, slack=1.0, attempts=300)
    everything = sampler.distinct(1000)
    assert len(everything) == len(set(everything))
    lowered = sampler.space.repaired((8, 8, 8), sampler.generator)
    assert sampler.distinct(1000, known={*everything, lowered}) == []
    assert len(sampler.distinct(5)) == 5
    if kind != "repair":
        assert len(everything) == 20
    else:
        assert len(everything) > 10


def test_the_generator_decides():
    first, again, other = (average(3.0, seed=seed).distinct(5) for seed in (0, 0, 1))
    assert first == again != other
