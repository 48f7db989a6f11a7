"""The command that runs a deployed model on pictures."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bitswitch.cli.arguments import AsJson
from bitswitch.errors import SpecError
from bitswitch.results.policies import PolicyFile

if TYPE_CHECKING:
    from bitswitch.deployment.inference import Inference
    from bitswitch.deployment.latency import WidthInBudget


def infer(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="As `bitswitch export` wrote it.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Picture files.")],
    bits: Annotated[
        int | None, typer.Option(help="Bit-width of all layers; the widest by default.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Bit-widths of every layer, *.json.")
    ] = None,
    budget_ms: Annotated[
        float | None,
        typer.Option(min=0, help="The widest bit-width that takes so long per image at most."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="onnxruntime, or integers for the exact reference.")
    ] = "onnxruntime",
    threads: Annotated[int, typer.Option(min=1, help="Of onnxruntime.")] = 1,
    top: Annotated[int, typer.Option(min=1, help="Classes that are printed.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Print the most probable classes of every IMAGE."""
    if sum(given is not None for given in (bits, policy, budget_ms)) > 1:
        raise SpecError("--bits, --policy and --budget-ms exclude each other: give one of them.")
    file = PolicyFile.read(policy) if policy else None
    from bitswitch import stages

    found = stages.infer(model, images, file or bits, budget_ms, engine, threads)
    content = as_content(found, file, engine, top)
    typer.echo(json.dumps(content) if as_json else as_text(content, found.choice, budget_ms))


def as_content(
    found: "Inference", file: PolicyFile | None, engine: str, top: int
) -> dict[str, Any]:
    """Return what was found, JSON-like."""
    return {
        "run": found.run,
        "policy": found.policy,
        "policy_run": file and file.run,
        "engine": engine,
        "latency_ms": found.choice and dict(found.choice.times_ms),
        "images": [
            {
                "image": str(path),
                "classes": [
                    {"class": label, "probability": share}
                    for share, label in zip(
                        *(part.tolist() for part in values.topk(min(top, len(values)))),
                        strict=True,
                    )
                ],
            }
            for path, values in found.probabilities
        ],
    }


def as_text(
    content: dict[str, Any], choice: "WidthInBudget | None", budget_ms: float | None
) -> str:
    """Return the same as lines: how it was found, then one line per picture."""
    policy = content["policy"]
    lines = [f"{policy} bits" if isinstance(policy, int) else f"policy of {len(policy)} layers"]
    lines[0] += f", {content['engine']}"
    if content["policy_run"] not in (None, content["run"]):
        lines.append(
            f"the policy was found for run {content['policy_run']}, the model is of run "
            f"{content['run']}: what its file says of accuracy does not hold here"
        )
    if choice is not None:
        time_ms = choice.times_ms[choice.bits]
        lines[0] += f", {time_ms:.3g} ms per image here (budget {budget_ms:g} ms)"
    if choice is not None and choice.alike:
        lines.append("all bit-widths take about the same time: onnxruntime keeps all in 8 bits")
    for image in content["images"]:
        classes = ", ".join(
            f"{each['class']} ({100 * each['probability']:.1f} %)" for each in image["classes"]
        )
        lines.append(f"{image['image']}: class {classes}")
    return "\n".join(lines)
