"""The command that runs a deployed model on pictures, or on a text."""

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
    from bitswitch.deployment.text import TextScores


def infer(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="As `bitswitch export` wrote it.")],
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="[IMAGE]...", help="Picture files.")
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="In place of pictures: a text, scored at every bit-width."
        ),
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(help="Bit-width of all layers; the widest by default, of a text all."),
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
    """Print the most probable classes of every IMAGE, or how well a text is predicted."""
    if sum(given is not None for given in (bits, policy, budget_ms)) > 1:
        raise SpecError("--bits, --policy and --budget-ms exclude each other: give one of them.")
    if bool(images) == (text is not None):
        raise SpecError("Give picture files, or a text: --text FILE; one of both.")
    if text is not None and budget_ms is not None:
        raise SpecError("--budget-ms is for pictures: a text is scored at every bit-width.")
    file = PolicyFile.read(policy) if policy else None
    from bitswitch import stages

    if text is not None:
        scores = stages.score_text(model, text, file or bits, engine, threads)
        table = text_content(scores, engine)
        typer.echo(json.dumps(table) if as_json else text_lines(table))
        return
    assert images
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


def text_content(found: "TextScores", engine: str) -> dict[str, Any]:
    """Return how well a text was predicted, JSON-like."""
    scores = [{"policy": one.policy, **one.values} for one in found.scores]
    about = {"protocol": found.protocol, "unit": found.unit}
    return {"run": found.run, "engine": engine, **about, "scores": scores}


def text_lines(content: dict[str, Any]) -> str:
    """Return the same as lines: how it was found, then one line per bit-width."""
    lines = [f"{content['engine']}; {content['protocol']}"]
    for each in content["scores"]:
        policy = each["policy"]
        name = f"{policy} bits" if isinstance(policy, int) else f"policy of {len(policy)} layers"
        lines.append(
            f"{name}: {each['bits_per_byte']:.4f} bits per byte, perplexity "
            f"{each['perplexity']:.3f} per {content['unit']}"
        )
    return "\n".join(lines)


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
