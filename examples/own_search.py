"""A search of your own: one that widens layers one by one, within a budget and a number of tries.

In a package with an entry point a suite poses the problem (docs/howto/add-a-search.md); here it is
posed by hand, on a network that is not trained.
"""

import torch
from torch import nn

import bitswitch as bs
from bitswitch.nn.shapes import layer_shapes

BITSET: bs.BitSet = (8, 4, 2)


class Exchange(bs.Search):
    """Start at one bit-width everywhere; let a layer have more bits where held-out loss falls."""

    source = "unpublished"
    evaluates = True
    scored = True

    class Options(bs.Strict):
        """What a suite may set."""

        rounds: int = 1
        """How often every layer is tried."""

    options: Options

    def least_evaluations(self, layers: int) -> int:
        """Return how many evaluations a round takes; suites that allow fewer are refused."""
        return 1 + layers

    def objection(self, cost: str) -> str | None:
        """Return why it cannot keep a budget on ``cost``."""
        return "it has no latency table" if cost == "latency" else None

    def work(self, extent: bs.Workload, evaluations: int) -> bs.ExamplePasses:
        """Return what it trains: nothing."""
        return bs.ExamplePasses()

    def search(self, problem: bs.Problem) -> list[bs.Candidate]:
        """Return the policies that were best so far, the last one first."""
        least = self.least_evaluations(len(problem.layers))
        bs.require_evaluations("exchange", problem.remaining(), least)
        widest = problem.widest_uniform()
        if widest is None:
            low, _ = problem.costs.range(problem.limit.cost, problem.bitset)
            raise bs.InfeasibleBudgetError(problem.limit.cost, problem.limit.value, low)
        policy: dict[str, bs.LayerBits] = dict.fromkeys(problem.layers, widest)
        best = problem.evaluate(policy)
        found = [bs.Candidate(policy, best.loss)]
        for layer in self._by_score(problem) * self.options.rounds:
            wider = max(problem.bitset)
            tried = {**policy, layer: wider}
            if problem.allows(tried) and problem.remaining():
                evaluation = problem.evaluate(tried)
                if evaluation.rank_key > best.rank_key:
                    policy, best = tried, evaluation
                    found.insert(0, bs.Candidate(policy, best.loss))
        return found

    def _by_score(self, problem: bs.Problem) -> list[str]:
        """Return layers, the most sensitive one first."""
        scores = problem.scores
        assert scores is not None  # it is ``scored``
        return sorted(problem.layers, key=scores.of_layer, reverse=True)


class Judge:
    """Evaluates policies by how far logits are from those at full precision, and counts."""

    def __init__(self, model: bs.QuantizedModel, inputs: torch.Tensor, most: int) -> None:
        self.model, self.inputs, self.left = model, inputs, most
        self.metric = bs.Metric("distance", "Distance", "1", better="lower", digits=3)
        with torch.no_grad(), model.at(bs.FLOAT_BITS):
            self.wanted = model(inputs)

    def __call__(self, policy: bs.Policy, model: bs.QuantizedModel | None = None) -> bs.Evaluation:
        """Return how good ``policy`` is."""
        self.left -= 1
        model = model or self.model
        with torch.no_grad(), model.at(policy):
            apart = float((model(self.inputs) - self.wanted).abs().mean())
        found = bs.Found({"distance": apart, "loss": apart}, len(self.inputs))
        return bs.Evaluation.of(found, self.metric)


def problem(average_bits: float, tries: int) -> bs.Problem:
    """Return the problem of giving layers so many bits on average."""
    torch.default_generator.manual_seed(0)
    middle = [part for _ in range(4) for part in (nn.Linear(32, 32), nn.ReLU())]
    net = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), *middle, nn.Linear(32, 5))
    inputs = torch.randn(64, 32, generator=torch.Generator().manual_seed(1))
    model = bs.quantize(net, "double-rounding", bitset=BITSET, example=(32,))
    model.calibrate([inputs])
    model.eval()
    costs = bs.CostModel(layer_shapes(model, inputs))
    judge = Judge(model, inputs, tries)
    scores = [bs.Score(name, "layer", None, float(i)) for i, name in enumerate(model.layers)]
    return bs.Problem(
        model=model,
        costs=costs,
        bitset=BITSET,
        limit=bs.Constraint("average-bits", average_bits),
        tied=True,
        scores=bs.Scores(tuple(scores)),
        evaluate=judge,
        remaining=lambda: judge.left,
        train_batches=lambda epoch: iter(()),
        generator=torch.Generator().manual_seed(0),
        task=bs.Rows(),
    )


def main() -> None:
    """Search within three budgets, two of which cannot be kept."""
    search = Exchange(Exchange.Options())
    posed = problem(average_bits=6, tries=10)
    for candidate in search.search(posed):
        bits = ", ".join(str(one) for one in candidate.policy.values())
        within = "within" if posed.allows(candidate.policy) else "above"
        print(f"bits {bits}: distance {candidate.objective:.3f}, {within} 6 bits on average")
    print(f"{10 - posed.remaining()} of 10 evaluations made")
    for average_bits, tries in ((1.5, 10), (6, 3)):
        try:
            search.search(problem(average_bits, tries))
        except (bs.InfeasibleBudgetError, bs.TooFewEvaluationsError) as error:
            print(error)


if __name__ == "__main__":
    main()
