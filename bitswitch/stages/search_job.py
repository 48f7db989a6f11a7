"""One search from its first file to its last."""

import logging
from pathlib import Path
from typing import Any

import torch

from bitswitch.contracts.search import Evaluation, Problem, Search
from bitswitch.contracts.sensitivity import Scores
from bitswitch.contracts.streams import Stream
from bitswitch.costs import Constraint, CostModel, read_latencies
from bitswitch.errors import Diverged, InfeasibleBudgetError, TooFewEvaluationsError
from bitswitch.nn.shapes import layer_shapes
from bitswitch.plugins import registry
from bitswitch.plugins.guard import plugin_errors
from bitswitch.results import provenance
from bitswitch.results.files import read_json, write_bytes, write_json, write_lines
from bitswitch.results.policies import PolicyFile, costs_record
from bitswitch.results.result import write_result
from bitswitch.results.scores import read_scores
from bitswitch.runtime import devices
from bitswitch.runtime.drafts import remove_lost
from bitswitch.runtime.randomness import generator
from bitswitch.spec import yaml_text
from bitswitch.spec.search import Budget, SearchSpec
from bitswitch.stages.choosing import best_of
from bitswitch.stages.evaluator import Evaluator
from bitswitch.stages.execution import Execution
from bitswitch.stages.retraining import retrained
from bitswitch.training.clock import Clock, Instant
from bitswitch.training.trained import Trained, load_trained

log = logging.getLogger(__name__)


def run_search(spec: SearchSpec, execution: Execution, began: Instant) -> None:
    """Write policies, metrics and ``result.json`` of ``spec``; see ``bitswitch.stages.search``."""
    torch.set_num_threads(execution.threads)
    folder, clock = execution.searches / spec.identifier, Clock(execution.device, began)
    folder.mkdir(parents=True, exist_ok=True)
    remove_lost(folder)
    content = yaml_text.dump(spec.model_dump(mode="json"))
    write_bytes(folder / "spec.yaml", content.encode())
    facts: dict[str, Any] = {}
    outcome: dict[str, Any] = {
        "status": "complete",
        "diagnosis": None,
        "budgets": {},
        "infeasible": {},
    }
    lines: list[dict[str, Any]] = []
    try:
        trained = load_trained(
            spec.run, execution.runs, execution.data, execution.device, spec.identifier
        )
        plugin = registry.create("searches", spec.search.name, spec.search.options)
        facts = provenance.collect(
            [type(plugin).__module__, *trained.parts.modules],
            str(execution.device),
            devices.product_name(execution.device),
            execution.threads,
            "explore",
        )
        _take_up(folder, facts)
        scores = _scores(spec, execution.sensitivities)
        costs = cost_model(trained, spec)
        for budget in spec.budgets:
            try:
                found, measured = _one(spec, budget, plugin, trained, costs, scores, folder, clock)
            except (InfeasibleBudgetError, TooFewEvaluationsError) as finding:  # others go on
                log.warning("%s, %s: %s", spec.identifier, budget.name, finding)
                outcome["infeasible"][budget.name] = str(finding).splitlines()[0]
                continue
            lines += measured
            outcome["budgets"][budget.name] = found
    except Diverged as finding:
        outcome |= {"status": "diverged", "diagnosis": str(finding)}
    write_lines(folder / "metrics.jsonl", lines)
    write_json(folder / "provenance.json", {**facts, "finished": provenance.now()})
    spent = clock.read()
    outcome |= {
        "identifier": spec.identifier,
        "time_kind": clock.kind,
        "wall_time_s": spent["wall"],
        "peak_memory_mib": clock.peak_memory_mib(),
    }
    policies = (f"policies/{name}.json" for name in outcome["budgets"])
    write_result(folder, outcome, ("provenance.json", "metrics.jsonl", *policies))
    log.info("%s: %s", spec.identifier, outcome["status"])


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
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Search within one budget and write its policy.

    Returns:
        What ``result.json`` says of it, and its lines of ``metrics.jsonl``.
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
    )
    with evaluator, clock.phase("train"):
        before = clock.read()["train"]
        who = f"search '{spec.search.name}'"
        with plugin_errors(who, "search()"):
            candidates = plugin.search(problem)
            best = best_of(candidates, problem, who)
        search_time_s = clock.read()["train"] - before + evaluator.recalled_time_s
    held_out = evaluator.on(best.policy, "held_out")
    file = PolicyFile(
        run=spec.run.run_id,
        model=spec.run.model.name,
        dataset=spec.run.dataset.name,
        bitset=spec.run.bitset,
        search=spec.search.name,
        budget=budget.name,
        objective=best.objective,
        held_out_top1=held_out.top1,
        costs=costs_record(costs.costs(best.policy), spec.first_last),
        layers=evaluator.pairs(best.policy),
    )
    file.write(folder / "policies" / f"{budget.name}.json")
    lines = _lines(budget, "held_out", held_out) + _lines(
        budget, "test", evaluator.on(best.policy, "test")
    )
    uniform, beside = _uniform(problem, budget, evaluator)
    lines += beside
    retraining_time_s = 0.0
    if spec.retraining is not None:
        with clock.phase("evaluate"):
            before = clock.read()["evaluate"]
            tuned = retrained(trained, best.policy, spec)
            retraining_time_s = clock.read()["evaluate"] - before
        again = evaluator.on(best.policy, "test", model=tuned)
        lines += _lines(budget, "test", again, "_retrained")
    found = {
        "limit": problem.limit.value,
        "cost": costs.total(budget.cost, best.policy),
        "objective": best.objective,
        "candidates": len(candidates),
        "evaluations": evaluator.count,
        "search_time_s": search_time_s,
        "retraining_epochs": spec.retraining.epochs if spec.retraining else 0,
        "retraining_time_s": retraining_time_s,
        **uniform,
    }
    return found, lines


def _uniform(
    problem: Problem, budget: Budget, evaluator: Evaluator
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Test the widest bit-width for all layers within the budget, as policies are tested.

    Returns:
        What ``result.json`` says of it, and its lines of ``metrics.jsonl``; both empty where no
        bit-width is within the budget.
    """
    bits = problem.widest_uniform()
    if bits is None:
        return {}, []
    policy = dict.fromkeys(problem.layers, bits)
    cost = problem.costs.total(budget.cost, policy)
    lines = _lines(budget, "test", evaluator.on(policy, "test"), "_uniform")
    return {"uniform_bits": bits, "uniform_cost": cost}, lines


def evaluations_name(budget: Budget) -> str:
    """Return the name of the file of a budget's evaluations."""
    return f"evaluations-{budget.name}.jsonl"


def _take_up(folder: Path, facts: dict[str, Any]) -> None:
    """Say what code searches in ``folder``; drop what other code has evaluated there before."""
    path = folder / "provenance.json"
    keys = ("code_hash", "plugin_hashes")
    before = read_json(path) if path.exists() else {}
    if any(before.get(key) != facts[key] for key in keys):
        for evaluations in folder.glob("evaluations-*.jsonl"):
            evaluations.unlink()
    write_json(path, facts)


def _lines(budget: Budget, split: str, found: Evaluation, suffix: str = "") -> list[dict[str, Any]]:
    """Return two lines of ``metrics.jsonl``, in the form of those of a run."""
    return [
        {"split": split, "policy": budget.name, "metric": name + suffix, "value": value, "unit": u}
        for name, value, u in (("top1", found.top1, "percent"), ("loss", found.loss, "nats"))
    ]
