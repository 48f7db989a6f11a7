import pytest

from bitswitch.contracts.sensitivity import Scores
from bitswitch.costs import Constraint
from bitswitch.errors import InfeasibleBudgetError, SpecError, TooFewEvaluationsError
from bitswitch.plugins import facts
from bitswitch.searches.greedy import Greedy

from .exact_problems import cost_model, layer_scores, policies, scores_by_bits
from .measured_problems import measured_problem, rough_loss

BITSET = (8, 6, 4, 2)
ERRORS = ((0, 1, 9, 70), (0, 2, 11, 90), (0, 4, 5, 30), (0, 3, 12, 40))


def search(posed, **options):
    (found,) = Greedy(Greedy.Options(**options)).search(posed)
    return found


def lower(policy, layer, operand):
    """Return ``policy`` with one bit-width one level lower, or None; operand None: both."""
    pair = list(policy[layer])
    for index in (0, 1) if operand is None else (operand,):
        if pair[index] == BITSET[-1]:
            return None
        pair[index] = BITSET[BITSET.index(pair[index]) + 1]
    return {**policy, layer: tuple(pair)}


def reference(posed, value, order):
    """Return the greedy policy and how many different policies were looked at on the way."""
    cost = lambda policy: posed.costs.total(posed.limit.cost, policy)  # noqa: E731
    policy, looked = dict.fromkeys(posed.layers, (8, 8)), 1
    while not posed.allows(policy):
        ways = [
            lower(policy, layer, operand)
            for layer in posed.layers
            for operand in ((None,) if posed.tied else (0, 1))
        ]
        ways = [way for way in ways if way and cost(way) < cost(policy)]
        looked += len(ways)
        ranked = order(value(policy), cost(policy), [(value(way), cost(way)) for way in ways])
        policy = min(zip(ranked, ways, strict=True), key=lambda pair: pair[0])[1]
    return policy, looked


def by_ratio(value, cost, ways):
    return [(after - value) / (cost - less) for after, less in ways]


def scaled(value, cost, ways):
    worst, dearest = max(after for after, _ in ways), max(less for _, less in ways)
    return [1.5 * after / worst - (1 - less / dearest) for after, less in ways]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(("rule", "order"), [("ratio", by_ratio), ("scaled", scaled)])
@pytest.mark.parametrize("limit", [Constraint("size", 700), Constraint("bitops", 1800)])
def test_with_enough_evaluations_every_reduction_is_looked_at(rule, order, limit, tied):
    def loss(policy):
        """Return a loss by which no two reductions are equal: weights suffer a little more."""
        return rough_loss(policy) + sum(0.01 * 2.0 ** (2 - bits) for bits, _ in policy.values())

    posed, measured = measured_problem(limit, loss, tied=tied)
    expected, looked = reference(posed, loss, order)
    found = search(posed, rule=rule)
    assert found.policy == expected
    assert found.objective == loss(expected)
    assert len(measured.seen) == looked


def test_the_headline_may_decide_and_of_equal_ones_the_larger_saving():
    posed, _ = measured_problem(Constraint("size", 1200), loss=lambda policy: 1.0)
    found = search(posed, measure="headline")
    assert found.policy == {"a": (8, 8), "b": (8, 8), "c": (8, 8), "d": (6, 6)}
    assert found.objective == pytest.approx(11.0)


def test_scores_need_no_evaluation():
    posed, measured = measured_problem(
        Constraint("size", 700), allowed=0, scores=Scores(scores_by_bits(ERRORS, BITSET))
    )
    table = dict(zip("abcd", ERRORS, strict=True))

    def value(policy):
        return sum(table[layer][BITSET.index(bits)] for layer, (bits, _) in policy.items())

    expected, _ = reference(posed, value, by_ratio)
    found = search(posed, measure="scores")
    assert found.policy == expected
    assert found.objective == value(expected)
    assert measured.seen == []


def test_scores_of_operands_are_told_apart():
    rows = scores_by_bits(ERRORS, BITSET, "weight") + scores_by_bits(
        [[100 * error for error in row] for row in ERRORS], BITSET, "activation"
    )
    posed, _ = measured_problem(Constraint("bitops", 4000), scores=Scores(rows), tied=False)
    policy = search(posed, measure="scores").policy
    assert {activation for _, activation in policy.values()} == {8}


@pytest.mark.parametrize("allowed", [5, 6, 12, 20, 40])
def test_few_evaluations_are_never_exceeded(allowed):
    posed, measured = measured_problem(Constraint("size", 600), allowed=allowed)
    found = search(posed)
    assert posed.allows(found.policy)
    assert allowed // 2 < len(measured.seen) <= allowed


def test_with_few_evaluations_what_was_seen_once_is_remembered():
    def loss(policy):
        hurts = {"a": 1, "b": 500, "c": 1, "d": 2}
        return sum(hurts[layer] * (8 - bits) for layer, (bits, _) in policy.items())

    posed, measured = measured_problem(Constraint("average-bits", 5.0), loss, allowed=12)
    policy = search(posed).policy
    assert policy["b"] == (8, 8)
    assert len(measured.seen) <= 12


@pytest.mark.parametrize("allowed", [5, 6, 12])
def test_every_layer_is_measured_before_a_second_step(allowed):
    posed, measured = measured_problem(Constraint("average-bits", 4.0), allowed=allowed)
    search(posed)
    widest, *first = measured.seen[:5]
    assert set(widest.values()) == {(8, 8)}
    assert [one for one in first if sorted(one.values()) == [(6, 6), *[(8, 8)] * 3]] == first
    assert {str(one) for one in first} == {str({**widest, layer: (6, 6)}) for layer in posed.layers}


@pytest.mark.parametrize("allowed", [0, 1, 4])
def test_fewer_evaluations_than_layers_are_refused_with_the_least_number(allowed):
    posed, measured = measured_problem(Constraint("average-bits", 4.0), allowed=allowed)
    with pytest.raises(TooFewEvaluationsError, match=f"at least 5 evaluations.* make {allowed}"):
        search(posed)
    assert not measured.seen
    untied, _ = measured_problem(Constraint("bitops", 4000), allowed=8, tied=False)
    with pytest.raises(TooFewEvaluationsError, match="at least 9 evaluations"):
        search(untied)


def test_what_was_never_measured_counts_as_its_layer_did_and_at_least_as_the_mean():
    def loss(policy):
        """Return 4^-bits times 1, 2, 30 and 3; the first layer seems not to suffer at first."""
        widths = [bits for bits, _ in policy.values()]
        seen = [1 if bits < 6 else 0 for bits in widths[:1]] + [2, 30, 3]
        return sum(k * 4.0**-bits for k, bits in zip(seen, widths, strict=True))

    posed, measured = measured_problem(Constraint("average-bits", 5.0), loss, allowed=5)
    # From 6 bits on a, b and d count as the mean layer; of these three a and b suffered least.
    assert search(posed).policy == {"a": (4, 4), "b": (4, 4), "c": (6, 6), "d": (6, 6)}
    assert len(measured.seen) == 5


def test_equal_reductions_are_drawn():
    def first(seed, measure):
        posed, _ = measured_problem(
            Constraint("average-bits", 7.5), lambda policy: 1.0, weights=(1,) * 4, seed=seed
        )
        policy = search(posed, measure=measure).policy
        return next(layer for layer, pair in policy.items() if pair != (8, 8))

    for measure in ("loss", "headline"):
        found = [first(seed, measure) for seed in range(32)]
        assert set(found) == set("abcd")
        assert found == [first(seed, measure) for seed in range(32)]


def test_a_budget_that_the_widest_policy_meets_costs_nothing():
    posed, measured = measured_problem(Constraint("average-bits", 8.0))
    assert search(posed).policy == dict.fromkeys("abcd", (8, 8))
    assert measured.seen == []


def test_a_loss_that_is_no_number_is_avoided():
    def loss(policy):
        return float("nan") if policy["d"] != (8, 8) else rough_loss(policy)

    posed, _ = measured_problem(Constraint("average-bits", 5.0), loss)
    assert search(posed).policy["d"] == (8, 8)


def test_where_no_reduction_saves_anything_the_cheapest_policy_is_taken():
    table = {(name, bits, bits): float(bits) for name in "ab" for bits in (8, 4, 2)}
    table |= {("b", 8, 8): 5.0, ("b", 4, 4): 6.0}
    costs = cost_model([1, 1], latencies=table)
    posed, _ = measured_problem(Constraint("latency", 4.5), costs=costs, bitset=(8, 4, 2))
    assert search(posed).policy == {"a": (2, 2), "b": (2, 2)}


@pytest.mark.parametrize(
    ("options", "needs"),
    [
        ({}, {"scored": False, "evaluates": True}),
        ({"measure": "headline"}, {"scored": False, "evaluates": True}),
        ({"measure": "scores"}, {"scored": True, "evaluates": False}),
    ],
)
def test_what_it_needs_depends_on_the_measure(options, needs):
    plugin = Greedy(Greedy.Options(**options))
    assert {key: getattr(plugin, key) for key in needs} == needs
    stochastic = options.get("measure") == "headline"  # of few images, often equal
    assert facts.search_facts("greedy", options) == {**needs, "stochastic": stochastic}


def test_what_is_missing_is_named():
    with pytest.raises(SpecError, match=r"search\.evaluations"):
        search(measured_problem(allowed=0)[0])
    with pytest.raises(SpecError, match="needs a sensitivity"):
        search(measured_problem()[0], measure="scores")
    posed, _ = measured_problem(scores=layer_scores([1, 2, 3, 4]))
    with pytest.raises(SpecError, match="per layer and bit-width"):
        search(posed, measure="scores")
    with pytest.raises(InfeasibleBudgetError):
        search(measured_problem(Constraint("average-bits", 1.5))[0])


def test_greedy_is_near_the_optimum_where_layers_do_not_interact():
    def loss(policy):
        return sum(k * 4.0 ** (2 - bits) for k, (bits, _) in enumerate(policy.values(), 1))

    posed, _ = measured_problem(Constraint("average-bits", 5.0), loss)
    best = min(loss(policy) for policy in policies(posed) if posed.allows(policy))
    assert search(posed).objective == pytest.approx(best)
