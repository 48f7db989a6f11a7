"""One search from its first file to its last."""

import logging
from pathlib import Path
from typing import Any

from bitswitch.contracts.search import Evaluation, Problem, Search
from bitswitch.contracts.sensitivity import Scores
from bitswitch.contracts.streams import Stream
from bitswitch.costs import Constraint, CostModel, read_latencies
from bitswitch.errors import InfeasibleBudgetError, TooFewEvaluationsError
from bitswitch.nn.shapes import layer_shapes
from bitswitch.plugins import registry
from bitswitch.plugins.guard import plugin_errors
from bitswitch.results.policies import HeldOut, PolicyFile, costs_record
from bitswitch.results.provenance import Provenance
from bitswitch.results.records import BudgetResult, SearchResult, Treatment
from bitswitch.results.scores import read_scores
from bitswitch.runtime.randomness import generator
from bitswitch.spec.search import Budget, SearchSpec
from bitswitch.stages.choosing import best_of
from bitswitch.stages.evaluator import Evaluator
from bitswitch.stages.execution import Execution
from bitswitch.stages.job import Job
from bitswitch.stages.metrics import Lines
from bitswitch.stages.retraining import retrained
from bitswitch.training.clock import Clock, Instant
from bitswitch.training.trained import Trained, load_trained

log = logging.getLogger(__name__)


class SearchJob(Job):
    """The policies that one search finds, one for every budget that can be met."""

    stage = "explore"

    def __init__(self, spec: SearchSpec, execution: Execution, began: Instant) -> None:
        super().__init__(execution.searches / spec.identifier, spec, execution, began)
        self.spec = spec
        self.budgets: dict[str, BudgetResult] = {}
        self.infeasible: dict[str, str] = {}
        self.lines = Lines()

    def search(self) -> None:
        """Search within every budget."""
        spec, execution = self.spec, self.execution
        trained = load_trained(
            spec.run, execution.runs, execution.data, execution.device, spec.identifier
        )
        plugin = registry.create("searches", spec.search.name, spec.search.options)
        modules = [type(plugin).__module__, *trained.parts.modules]
        self._take_up(self.facts(modules, trained.parts.data_facts(execution.data)))
        scores = _scores(spec, execution.sensitivities)
        costs = cost_model(trained, spec)
        for budget in spec.budgets:
            try:
                found, measured = _one(
                    spec, budget, plugin, trained, costs, scores, self.folder, self.clock
                )
            except (InfeasibleBudgetError, TooFewEvaluationsError) as finding:  # others go on
                log.warning("%s, %s: %s", spec.identifier, budget.name, finding)
                self.infeasible[budget.name] = str(finding).splitlines()[0]
                continue
            self.lines += measured
            self.budgets[budget.name] = found

    def _take_up(self, facts: Provenance) -> None:
        """Say what code searches; drop what other code has evaluated in the same folder before."""
        before = self.before()
        if before is None or before.code != facts.code:
            for evaluations in self.folder.glob("evaluations-*.jsonl"):
                evaluations.unlink()
        self.identify(facts)

    def write(self) -> list[str]:
        names = self.lines.write(self.folder)
        return [*names, *(f"policies/{name}.json" for name in self.budgets)]

    def result(self) -> SearchResult:
        return SearchResult(
            budgets=self.budgets,
            infeasible=self.infeasible,
            identifier=self.spec.identifier,
            **self.ending(),
        )


def run_search(spec: SearchSpec, execution: Execution, began: Instant) -> None:
    """Write policies, metrics and ``result.json`` of ``spec``; see ``bitswitch.stages.search``."""
    with SearchJob(spec, execution, began) as job:
        job.search()


def cost_model(trained: Trained, spec: SearchSpec) -> CostModel:
    """Return what policies of a trained network cost."""
    shapes = layer_shapes(trained.model, trained.parts.example(1).inputs)
    latencies = None if spec.latency_table is None else read_latencies(spec.latency_table)
    return CostModel(shapes, spec.first_last, latencies)


def limit_of(budget: Budget, costs: CostModel, bitset: tuple[int, ...]) -> Constraint:
    """Return the bound that ``budget`` puts on policies of one network."""
    if budget.at_most is not None:
        value = budget.at_most
    elif budget.of_uniform is not None:
        value = costs.uniform(budget.cost, budget.of_uniform)
    else:
        value = (budget.share or 1.0) * costs.uniform(budget.cost, max(bitset))
    return Constraint(budget.cost, value)


def _scores(spec: SearchSpec, sensitivities: Path) -> Scores | None:
    if spec.sensitivity is None:
        return None
    return read_scores(sensitivities / spec.sensitivity.identifier, spec.sensitivity)


def _one(
    spec: SearchSpec,
    budget: Budget,
    plugin: Search,
    trained: Trained,
    costs: CostModel,
    scores: Scores | None,
    folder: Path,
    clock: Clock,
) -> tuple[BudgetResult, Lines]:
    """Search within one budget and write its policy.

    Returns:
        What ``result.json`` says of it, and what was found.
    """
    evaluator = Evaluator(trained, spec, folder / evaluations_name(budget), clock)
    problem = Problem(
        model=trained.model,
        costs=costs,
        bitset=spec.run.bitset,
        limit=limit_of(budget, costs, spec.run.bitset),
        tied=spec.tied,
        scores=scores,
        evaluate=evaluator,
        remaining=evaluator.remaining,
        train_batches=lambda epoch: trained.dataset.train_batches(
            spec.run.training.batch_size, Stream("search", epoch), spec.seed, skip=0
        ),
        generator=generator("search", spec.seed, budget.name),
        task=trained.parts.dataset.task,
    )
    with evaluator, clock.phase("train"):
        before = clock.read()["train"]
        who = f"search '{spec.search.name}'"
        with plugin_errors(who, "search()"):
            candidates = plugin.search(problem)
            best = best_of(candidates, problem, who)
        search_time_s = clock.read()["train"] - before + evaluator.recalled_time_s
    task, lines = trained.parts.dataset.task, Lines()

    def add(split: str, one: Evaluation, treatment: Treatment = "") -> None:
        lines.add(task, split, {budget.name: one.found}, treatment)

    held_out = evaluator.on(best.policy, "held_out")
    file = PolicyFile(
        run=spec.run.run_id,
        model=spec.run.model.name,
        dataset=spec.run.dataset.name,
        bitset=spec.run.bitset,
        search=spec.search.name,
        budget=budget.name,
        objective=best.objective,
        held_out=HeldOut.of(task.headline, held_out.values),
        costs=costs_record(costs.costs(best.policy), spec.first_last),
        layers=evaluator.pairs(best.policy),
    )
    file.write(folder / "policies" / f"{budget.name}.json")
    add("held_out", held_out)
    add("test", evaluator.on(best.policy, "test"))
    uniform = _uniform(problem, budget)
    if uniform:
        alike = dict.fromkeys(problem.layers, uniform["uniform_bits"])
        add("test", evaluator.on(alike, "test"), "_uniform")
    retraining_time_s = 0.0
    if spec.retraining is not None:
        with clock.phase("evaluate"):
            before = clock.read()["evaluate"]
            tuned = retrained(trained, best.policy, spec)
            retraining_time_s = clock.read()["evaluate"] - before
        again = evaluator.on(best.policy, "test", model=tuned)
        add("test", again, "_retrained")
    found = BudgetResult(
        limit=problem.limit.value,
        cost=costs.total(budget.cost, best.policy),
        objective=best.objective,
        candidates=len(candidates),
        evaluations=evaluator.count,
        search_time_s=search_time_s,
        retraining_epochs=spec.retraining.epochs if spec.retraining else 0,
        retraining_time_s=retraining_time_s,
        **uniform,
    )
    return found, lines


def _uniform(problem: Problem, budget: Budget) -> dict[str, Any]:
    """Return what ``result.json`` says of the widest bit-width for all layers within the budget.

    It is empty where no bit-width is within the budget.
    """
    bits = problem.widest_uniform()
    if bits is None:
        return {}
    cost = problem.costs.total(budget.cost, dict.fromkeys(problem.layers, bits))
    return {"uniform_bits": bits, "uniform_cost": cost}


def evaluations_name(budget: Budget) -> str:
    """Return the name of the file of a budget's evaluations."""
    return f"evaluations-{budget.name}.jsonl"
