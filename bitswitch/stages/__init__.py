"""One function per stage of an experiment: files in, files out.

Whatever needs torch is imported inside, so that the time it takes counts for the stage.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bitswitch.errors import RecordError, SpecError, hint
from bitswitch.plugins import registry
from bitswitch.plugins.resolve import read_run
from bitswitch.results.policies import PolicyFile
from bitswitch.spec.run import Choice, RunSpec, SensitivitySpec
from bitswitch.spec.search import SearchSpec
from bitswitch.training.clock import Instant

if TYPE_CHECKING:
    from bitswitch.deployment.generation import Generation
    from bitswitch.deployment.inference import Inference
    from bitswitch.deployment.text import TextScores
    from bitswitch.results.evaluations import Evaluation
    from bitswitch.stages.execution import Execution

log = logging.getLogger(__name__)

SPLITS = ("held_out", "test")
ENGINES = ("onnxruntime", "integers")


def prepare(dataset: Choice, data: Path) -> None:
    """Make or download ``dataset`` below ``data``; a no-op when it is there.

    Raises:
        DatasetError: it can be neither made nor downloaded.
        PluginError: the dataset raised an error.
    """
    from bitswitch.plugins.guard import plugin_errors

    with plugin_errors(f"dataset '{dataset.name}'", "prepare()"):
        registry.create("datasets", dataset.name, dataset.options).prepare(data)


def train(
    run: RunSpec,
    results: Path,
    data: Path,
    device: str = "auto",
    threads: int = 1,
    save_interval_s: float = 60.0,
) -> Path:
    """Train and evaluate ``run``, or continue it where it was interrupted.

    Arguments after ``run`` do not change its numbers, but for rounding between devices.

    Args:
        run: Resolved spec.
        results: Its files go to ``runs/<run id>/`` below; its start is found there too.
        data: Folder of the datasets.
        device: See ``bitswitch.runtime.devices.resolve``.
        threads: Processor threads of torch.
        save_interval_s: Time between checkpoints inside an epoch.

    Returns:
        The run directory. Nothing is done where the run is finished.

    Raises:
        BitswitchError: one of its subclasses; the last checkpoint stays as it is.
    """
    began = Instant.now()
    folder = results / "runs" / run.run_id
    if all((folder / name).exists() for name in ("result.json", "metrics.jsonl")):
        log.info("%s is finished", run.run_id)
        return folder
    from bitswitch.stages.training_job import run_job

    run_job(run, _execution(results, data, device, threads, save_interval_s), began)
    return folder


def score(
    spec: SensitivitySpec, results: Path, data: Path, device: str = "auto", threads: int = 1
) -> Path:
    """Score the layers of a network; see ``train`` for the arguments after ``spec``.

    Returns:
        The folder ``sensitivities/<identifier>`` below ``results``. Nothing is done where
        the scores are there.

    Raises:
        BitswitchError: one of its subclasses.
    """
    began = Instant.now()
    folder = results / "sensitivities" / spec.identifier
    if not (folder / "result.json").exists():
        from bitswitch.stages.scoring_job import run_scoring

        run_scoring(spec, _execution(results, data, device, threads), began)
    return folder


def search(
    spec: SearchSpec, results: Path, data: Path, device: str = "auto", threads: int = 1
) -> Path:
    """Find a policy for every budget of ``spec``; see ``train`` for the other arguments.

    Returns:
        The folder ``searches/<identifier>`` below ``results``. Nothing is done where
        the search is finished.

    Raises:
        BitswitchError: one of its subclasses.
    """
    began = Instant.now()
    folder = results / "searches" / spec.identifier
    if not (folder / "result.json").exists():
        from bitswitch.stages.search_job import run_search

        run_search(spec, _execution(results, data, device, threads), began)
    return folder


def deploy(run: RunSpec, results: Path, data: Path, device: str = "auto", threads: int = 1) -> Path:
    """Export the network of ``run``, and compare it with training; see ``train`` for the others.

    Returns:
        The folder ``deployments/<run id>`` below ``results``. Nothing is done where it is finished.

    Raises:
        BitswitchError: one of its subclasses.
    """
    began = Instant.now()
    folder = results / "deployments" / run.run_id
    if not (folder / "result.json").exists():
        from bitswitch.stages.deployment_job import run_deployment

        run_deployment(run, _execution(results, data, device, threads), began)
    return folder


def _execution(
    results: Path, data: Path, device: str, threads: int, save_interval_s: float = 60.0
) -> "Execution":
    from bitswitch.runtime.devices import resolve
    from bitswitch.stages.execution import Execution

    return Execution(results, data, resolve(device), threads, save_interval_s)


def evaluate_policy(
    policy: PolicyFile,
    split: str,
    results: Path,
    data: Path,
    device: str = "auto",
    recalibration: int = 0,
) -> list[dict[str, Any]]:
    """Return the metrics of a policy's network at its bit-widths, the headline first.

    Args:
        policy: Of a run in ``results``.
        split: ``held_out`` or ``test``.
        results: Folder of all results.
        data: Folder of the datasets.
        device: See ``bitswitch.runtime.devices.resolve``.
        recalibration: Training batches that batch norms see before.

    Returns:
        Name, title, unit, direction, digits and value of each.

    Raises:
        RecordError: the run is not there.
        SpecError: an unknown split.
        BitWidthError: the policy does not fit the network.
    """
    if split not in SPLITS:
        raise SpecError(f"There is no split '{split}'.{hint(split, SPLITS)} known: {SPLITS}")
    path = results / "runs" / policy.run / "spec.yaml"
    if not path.exists():
        raise RecordError(
            f"The policy is of run '{policy.run}', which is not in {results / 'runs'}.\n"
            f"  Train it first, or name the folder: --results"
        )
    from bitswitch.runtime.devices import resolve
    from bitswitch.stages.policy_evaluation import batches_of, evaluate_policy, recalibration_inputs
    from bitswitch.training.trained import load_trained

    run = read_run(path)
    trained = load_trained(run, results / "runs", data, resolve(device), "the policy")
    inputs = recalibration_inputs(trained.dataset, run, recalibration) if recalibration else None
    task = trained.parts.dataset.task
    batches = batches_of(trained.dataset, split, None, task.batch_size)
    found = evaluate_policy(trained.model, task, policy.policy, batches, inputs)
    return [{**metric._asdict(), "value": found.values[metric.name]} for metric in task.metrics]


def export(run: RunSpec, results: Path, file: Path) -> None:
    """Write the network of the finished ``run`` to ``file`` as integers, one set for every width.

    Raises:
        BitswitchError: one of its subclasses; what was in ``file`` before stays.
    """
    from bitswitch.deployment.export import export as write

    write(run, results / "runs", file)


def infer(
    file: Path,
    images: Sequence[Path],
    policy: int | PolicyFile | None = None,
    budget_ms: float | None = None,
    engine: str = "onnxruntime",
    threads: int = 1,
) -> "Inference":
    """Return what the deployed model in ``file`` says of pictures.

    Args:
        file: As ``export`` wrote it.
        images: Picture files.
        policy: Bit-width, or bit-widths of every layer; None: the widest.
        budget_ms: In place of ``policy``: the widest bit-width that takes at most this time per
            image on this machine; it is measured, unless it was before.
        engine: ``onnxruntime``, or ``integers`` for the exact and slow reference.
        threads: Of onnxruntime.

    Raises:
        BitswitchError: one of its subclasses.
    """
    _check_engine(engine)
    if budget_ms is not None and engine != "onnxruntime":
        raise SpecError("A budget in milliseconds is one of onnxruntime: leave the engine out.")
    from bitswitch.deployment.inference import infer as run

    chosen = policy.policy if isinstance(policy, PolicyFile) else policy
    return run(file, images, chosen, budget_ms, engine == "integers", threads)


def score_text(
    file: Path,
    text: Path,
    policy: int | PolicyFile | None = None,
    engine: str = "onnxruntime",
    threads: int = 1,
) -> "TextScores":
    """Return how well the deployed model in ``file`` predicts a text.

    Args:
        file: As ``export`` wrote it.
        text: A file in UTF-8.
        policy: Bit-width, or bit-widths of every layer; None: every bit-width, one after the other.
        engine: As in ``infer``.
        threads: Of onnxruntime.

    Raises:
        BitswitchError: one of its subclasses.
    """
    _check_engine(engine)
    from bitswitch.deployment.text import score as run

    chosen = policy.policy if isinstance(policy, PolicyFile) else policy
    return run(file, text, [] if chosen is None else [chosen], engine == "integers", threads)


def generate(
    file: Path,
    prompt: str,
    bits: Sequence[int] = (),
    tokens: int | None = None,
    temperature: float = 0.0,
    seed: int = 0,
    engine: str = "onnxruntime",
    threads: int = 1,
) -> "Generation":
    """Continue a text with the deployed model in ``file``.

    Args:
        file: As ``export`` wrote it.
        prompt: Text to continue.
        bits: Bit-widths: the prompt is read at the first one, each new token at the next, in turn.
            None given: the widest.
        tokens: How many more; None: a usual number, or as many as the context has room for.
        temperature: Of the distribution that tokens are drawn from; 0: always the most likely one.
        seed: Of what is drawn.
        engine: As in ``infer``.
        threads: Of onnxruntime.

    Raises:
        BitswitchError: one of its subclasses.
    """
    _check_engine(engine)
    from bitswitch.deployment.generation import drawn
    from bitswitch.deployment.generation import generate as run

    pick = drawn(temperature, seed)
    return run(file, prompt, bits, tokens, pick, engine == "integers", threads)


def lm_eval(
    subject: RunSpec | Path,
    tasks: Sequence[str],
    policies: Sequence[int | PolicyFile] = (),
    results: Path = Path("results"),
    include: Path | None = None,
    limit: float | None = None,
    shots: int | None = None,
    batch_size: int = 8,
    output: Path | None = None,
    device: str = "auto",
) -> "tuple[Path, Evaluation]":
    """Let lm-eval ask a language model, once the data of all tasks are seen to be there.

    Args:
        subject: A finished run, or a file as ``export`` wrote it, of which the exact integer model
            is asked.
        tasks: Names of tasks, groups or tags of lm-eval.
        policies: Bit-widths, or bit-widths of every layer; none: every bit-width of the model.
        results: Folder of all results.
        include: Folder of tasks of one's own, YAML files.
        limit: Of questions per task, or the share of them below 1; None: all.
        shots: Solved examples before every question; None: what each task says.
        batch_size: Windows that are read at once.
        output: File that is written; None: one below ``results`` for these settings.
        device: See ``bitswitch.runtime.devices.resolve``.

    Returns:
        The file that was written, and what is in it.

    Raises:
        SpecError: lm-eval is not installed, a task is unknown, or asks more than fits.
        DatasetError: the data of a task are not on this machine.
        BitswitchError: another of its subclasses; the network cannot be had.
    """
    from bitswitch.harness.tasks import load_tasks, require_lm_eval

    require_lm_eval()
    loaded = load_tasks(tasks, include)
    from bitswitch.harness.decoder import deployed, trained
    from bitswitch.harness.evaluation import Asked, evaluate

    file = subject if isinstance(subject, Path) else None
    if isinstance(subject, Path):
        decoder = deployed(subject, device)
    else:
        decoder = trained(subject, results / "runs", device)
    chosen = [one.policy if isinstance(one, PolicyFile) else one for one in policies]
    asked = Asked(limit, shots, batch_size)
    found = evaluate(decoder, loaded, chosen or decoder.bitset, asked, file)
    path = output or found.default_path(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    found.write(path)
    return path, found


def _check_engine(engine: str) -> None:
    if engine not in ENGINES:
        raise SpecError(f"There is no engine '{engine}'.{hint(engine, ENGINES)} known: {ENGINES}")
