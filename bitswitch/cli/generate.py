"""The command that continues a text with a deployed model."""

import json
from pathlib import Path
from typing import Annotated

import typer

from bitswitch.cli.arguments import AsJson, bit_widths


def generate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="As `bitswitch export` wrote it.")],
    prompt: Annotated[str, typer.Option(help="Text to continue.")],
    bits: Annotated[
        str,
        typer.Option(
            metavar="BITS,...",
            help="Bit-widths in turn: the first reads the prompt, the next one a new token.",
        ),
    ] = "",
    tokens: Annotated[int | None, typer.Option(min=1, help="How many more; 64 by default.")] = None,
    temperature: Annotated[
        float, typer.Option(min=0, help="0: always the most likely token.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of tokens that are drawn.")] = 0,
    engine: Annotated[
        str, typer.Option(help="onnxruntime, or integers for the exact reference.")
    ] = "onnxruntime",
    threads: Annotated[int, typer.Option(min=1, help="Of onnxruntime.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Continue a text; the bit-width may change between tokens."""
    widths = bit_widths(bits)
    from bitswitch import stages

    found = stages.generate(model, prompt, widths, tokens, temperature, seed, engine, threads)
    if not as_json:
        typer.echo(f"{found.prompt}{found.text}")
        return
    listed = [one._asdict() for one in found.tokens]
    about = {"run": found.run, "engine": engine, "prompt": found.prompt, "text": found.text}
    typer.echo(json.dumps(about | {"tokens": listed}))
