"""All parts one after the other, within a time limit: a file for `plan`, a table for people."""

import logging
import platform
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bitswitch.bench.gpu import process
from bitswitch.bench.gpu.process import NO_TIME, PARTS, Ended, Part
from bitswitch.bench.measured import Measured
from bitswitch.errors import DeviceError, SpecError, hint
from bitswitch.results.device_bench import DeviceBench, PartResult, check_place, slug
from bitswitch.results.provenance import code_hash, commit, installed, now
from bitswitch.runtime.devices import product_name, resolve

if TYPE_CHECKING:
    import torch

MARGIN_S = 5.0
"""Of the time limit, for what is begun at the end."""
TIMEOUT_S = 20.0
"""Of the driver, to say its release."""

log = logging.getLogger(__name__)


def chosen(names: str) -> tuple[Part, ...]:
    """Return the parts that ``names``, with commas between them, means; all if it is empty.

    Raises:
        SpecError: there is no such part.
    """
    known = {part.name: part for part in PARTS}
    listed = [name.strip() for name in names.split(",")] if names else list(known)
    for name in listed:
        if name not in known:
            raise SpecError(
                f"There is no part '{name}'.{hint(name, known)}\n  known: {', '.join(known)}"
            )
    return tuple(part for part in PARTS if part.name in listed)


def place_for(out: Path, device: str) -> Path:
    """Return the file that is written: in a folder, one called after the device.

    Args:
        out: A file or a folder.
        device: As ``measure`` takes it.

    Raises:
        RecordError: results of a processor, or of another GPU, may not lie there.
        DeviceError: there is no such device.
    """
    place = usable(device)
    name = product_name(place)
    path = out if out.suffix == ".json" else out / f"{slug(name)}.json"
    check_place(path, name, place.type)
    return path


def usable(device: str) -> "torch.device":
    """Return the device to measure.

    Raises:
        DeviceError: it is not there.
    """
    try:
        return resolve(device)
    except DeviceError as error:
        raise DeviceError(
            f"{error}\n  `bitswitch bench gpu` needs one CUDA GPU that nothing else uses; a "
            f"processor tries it out: bitswitch bench gpu --device cpu --minutes 2"
        ) from None


def measure(device: str, minutes: float, parts: Sequence[Part] = PARTS) -> DeviceBench:
    """Run ``parts`` on ``device`` in at most so many minutes.

    Raises:
        DeviceError: it is not there.
    """
    began, started = time.monotonic(), now()
    place, last = usable(device), began + 60 * minutes
    ended = list(_in_turn(parts, str(place), last))
    import torch

    return DeviceBench(
        device=product_name(place),
        device_type="cuda" if place.type == "cuda" else "cpu",
        driver=_driver() if place.type == "cuda" else None,
        cuda=torch.version.cuda,
        torch=torch.__version__,
        python=platform.python_version(),
        bitswitch_version=installed("bitswitch"),
        **commit(),
        code_hash=code_hash(),
        started=started,
        minutes=minutes,
        seconds=time.monotonic() - began,
        passes=tuple(one for part in ended for one in part.passes),
        parts=tuple(part.result for part in ended),
    )


def _in_turn(parts: Sequence[Part], device: str, last: float) -> Iterable[Ended]:
    """Run one part after the other; what one does not use, the others share."""
    for number, part in enumerate(parts):
        left = last - MARGIN_S - time.monotonic()
        waiting = sum(one.share for one in parts[number:])
        seconds = max(0.0, left * part.share / waiting)
        log.info("%s: %s, up to %.0f s", part.name, part.title, seconds)
        yield process.run(part, device, time.monotonic() + seconds, last)


def _driver() -> str | None:
    """Return the release of the driver, where it says so."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.partition("\n")[0].strip() or None


def render(bench: DeviceBench) -> str:
    """Return tables, then what is wrong and what was left out."""
    sections = [_summary(bench)]
    if bench.passes:
        sections.append(_steps(bench))
    figures = [
        (f"{part.name}: {one.name}", f"{one.value:,.4g} {one.unit}".rstrip())
        for part in bench.parts
        for one in part.figures
    ]
    if figures:
        sections.append(
            Measured("Measured besides", ("what", "figure"), tuple(figures), {}).render()
        )
    sections += _listed("Not right:", bench.failures)
    left_out = [line for part in bench.parts for line in _left_out(part)]
    return "\n\n".join([*sections, *_listed("Left out:", left_out)])


def _summary(bench: DeviceBench) -> str:
    software = f"torch {bench.torch}, CUDA {bench.cuda or '-'}, driver {bench.driver or '-'}"
    title = f"{bench.device}\n{software}, commit {bench.commit or 'unknown'}, {bench.seconds:.0f} s"
    if bench.device_type == "cpu":
        title += "\nA processor, to try the benchmark out: nothing here is of a GPU."
    rows = tuple(map(_part_row, bench.parts))
    return Measured(title, ("part", "time", "checks", "not right", "left out"), rows, {}).render()


def _part_row(part: PartResult) -> tuple[str, ...]:
    counts = len(part.checks), len(part.failures), len(part.left_out)
    return part.name, f"{part.seconds:.0f} s", *map(str, counts)


def _steps(bench: DeviceBench) -> str:
    columns = ("network", "method", "batch", "precision", "compiled", "passes", "step", "pass")
    rows = tuple(
        (
            *(one.model, one.method, str(one.batch_size), one.precision),
            *("yes" if one.compile else "", f"{one.passes:.3g}", f"{1e3 * one.step_s:.2f} ms"),
            *(f"{1e3 * one.pass_s:.2f} ms", f"{one.peak_memory_mib:,.0f} MiB"),
            "-" if one.energy_j is None else f"{one.energy_j:.3g} J",
        )
        for one in bench.passes
    )
    return Measured(
        "Training steps", (*columns, "peak memory", "energy of a step"), rows, {}
    ).render()


def _left_out(part: PartResult) -> list[str]:
    """Return a line for everything that was left out, one for all that there was no time for."""
    end = f": {NO_TIME}"
    late = [text.removesuffix(end) for text in part.left_out if text.endswith(end)]
    lines = [f"{part.name}: {text}" for text in part.left_out if not text.endswith(end)]
    return [*lines, *([f"{part.name}, {NO_TIME}: {'; '.join(late)}"] if late else [])]


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    """Return a section of ``lines``; none where there are none."""
    return ["\n".join([title, *(f"  {line}" for line in lines)])] if lines else []
