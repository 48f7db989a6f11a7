"""Commands that look at the installation."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from bitswitch.cli.arguments import AsJson, check_name
from bitswitch.doctor.finding import Finding
from bitswitch.errors import SpecError


def doctor(as_json: AsJson = False) -> None:
    """Say what this machine and this folder lack, what needs it, and the command that mends it."""
    from bitswitch.doctor import examine

    findings = examine()
    stopped = any(one.stops for one in findings)
    if as_json:
        rows = [one._asdict() for one in findings]
        typer.echo(json.dumps({"ready": not stopped, "findings": rows}))
    else:
        for one in findings:
            typer.echo("\n".join(one.lines()))
        typer.echo(f"\n{_summary(findings)}")
    if stopped:
        raise typer.Exit(1)


def _summary(findings: Sequence[Finding]) -> str:
    """Return whether `make all` can run, and what that leaves to mend."""
    stops = [one.what for one in findings if one.stops]
    if stops:
        return f"make all cannot run before this is mended: {', '.join(stops)}"
    lacking = sum(one.state != "ok" for one in findings)
    optional = f"; what is missing ({lacking}) is optional" if lacking else ""
    return f"ready for make all{optional}"


def schema() -> None:
    """Print the JSON schema of a suite file."""
    from bitswitch.suite.schema import suite_schema

    typer.echo(json.dumps(suite_schema(), indent=1))


GPU = "gpu"
"""The benchmark that looks at one device instead of comparing."""


def bench(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="step, startup, ilp, hessian, switch, inference, decoder, loader, suite, gpu.",
        ),
    ],
    methods: Annotated[
        str,
        typer.Option(help="Of `step`: these methods side by side, 'all' or names with commas."),
    ] = "",
    compiled: Annotated[
        bool,
        typer.Option(
            "--compiled",
            help="With --methods: compiled steps too, each of which compiles for about 40 s.",
        ),
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="Of `gpu`: cuda, cuda:<index>, or cpu to try it out.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Of `gpu`: at most so long; default 8.")
    ] = None,
    parts: Annotated[
        str | None, typer.Option(help="Of `gpu`: only these, names with commas.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Of `gpu`: a .json file, or a folder for one called after the device."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure NAME on this machine: ratios, side by side in one run; or all of one `gpu`."""
    from bitswitch.bench import BENCHMARKS

    check_name(name, [*BENCHMARKS, GPU], "There is no benchmark")
    _check_options(name, {"--methods": methods, "--compiled": compiled}, ("step",))
    own = {"--device": device, "--minutes": minutes, "--parts": parts, "--out": out}
    _check_options(name, own, (GPU,))
    if compiled and not methods:
        raise SpecError("--compiled belongs to --methods; without it, compiled steps are measured.")
    if name == GPU:
        _bench_gpu(device or "cuda", minutes or MINUTES, parts or "", out, as_json)
        return
    if methods:
        from bitswitch.bench.methods import chosen, measure

        measured = measure(chosen(methods), compiled)
    else:
        measured = BENCHMARKS[name]()
    typer.echo(json.dumps(measured.as_json()) if as_json else measured.render())


MINUTES = 8.0
"""Of `bench gpu`."""


def _check_options(name: str, given: Mapping[str, object], belong_to: tuple[str, ...]) -> None:
    """Refuse options that another benchmark takes.

    Raises:
        SpecError: one is given.
    """
    for option, value in given.items():
        if value and name not in belong_to:
            raise SpecError(
                f"Benchmark '{name}' takes no {option}; '{' and '.join(belong_to)}' does."
            )


def _bench_gpu(device: str, minutes: float, parts: str, out: Path | None, as_json: bool) -> None:
    """Measure one device, print what was found and write it; fail where something is not right."""
    from bitswitch.bench.gpu import bench as benchmark
    from bitswitch.runtime.devices import claimed_gpus

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    chosen = benchmark.chosen(parts)
    with claimed_gpus(device):
        path = None if out is None else benchmark.place_for(out, device)
        found = benchmark.measure(device, minutes, chosen)
    typer.echo(json.dumps(found.content()) if as_json else benchmark.render(found))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        found.write(path)
        typer.echo(f"written to {path}", err=True)
    if found.failures:
        raise typer.Exit(1)
