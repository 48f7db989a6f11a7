"""The report as a LaTeX document, and as PDF where there is a TeX engine."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from bitswitch.errors import ReportError
from bitswitch.report.analysis import health, methods
from bitswitch.report.collect.frames import Frames
from bitswitch.report.document import scorecard
from bitswitch.report.document.engine import HOW_TO_GET_TEX, find_engine
from bitswitch.report.figures import figures
from bitswitch.report.render import latex, marks
from bitswitch.report.render.assets import asset
from bitswitch.report.tables import tables
from bitswitch.results.files import write_bytes
from bitswitch.suite.suite import Suite

DOCUMENT, PDF, NOTICE = "report.tex", "report.pdf", "report.pdf.missing.txt"

TIMEOUT_S = 300

NEEDED = ("metrics", "tasks", "runs", "methods", "sensitivities", "policies", "repeats")
"""Tables that documents read."""


def output_name() -> str:
    """Return the name of the file that ``write`` makes here: the PDF, or why there is none."""
    return PDF if find_engine() else NOTICE


def write(suite: Suite, folder: Path) -> Path:
    """Write ``report.tex`` and ``report.pdf`` below ``folder``; return the path of the PDF.

    Without a TeX engine, the returned file says how to get one.

    Args:
        suite: Whose tables and figures lie in ``folder``.
        folder: ``results/<suite>``.

    Raises:
        ReportError: a table or figure is missing, or TeX stops with an error.
    """
    write_bytes(folder / DOCUMENT, document(suite, folder).encode())
    engine = find_engine()
    if engine is None:
        write_bytes(folder / NOTICE, HOW_TO_GET_TEX.encode())
        return folder / NOTICE
    with TemporaryDirectory() as build:
        write_bytes(folder / PDF, _typeset(engine, folder.resolve(), Path(build)))
    (folder / NOTICE).unlink(missing_ok=True)
    return folder / PDF


def document(suite: Suite, folder: Path) -> str:
    """Return the LaTeX document; it includes ``tables/*.tex`` and ``figures/*.pdf``."""
    frames = Frames.read(folder, *NEEDED)
    shown = figures.of(suite)
    parts = [f"tables/{name}.tex" for name in tables.names(suite)]
    claims = (scorecard.SECTION, scorecard.RUNS)
    for part in (*claims, *parts, *(f"figures/{name}.pdf" for name in shown)):
        if not (folder / part).is_file():
            raise ReportError(
                f"{folder / part} is missing.\n"
                f"  Make all parts of the report: bitswitch report SUITE"
            )
    return latex.render(
        "paper/main.tex.j2",
        suite=suite,
        tables=parts,
        figures=shown,
        methods=methods.listed(frames),
        definitions=frames.definitions,
        marks=[marks.Mark(word) for word in marks.SIGNS],
        interval=marks.INTERVAL,
        material=frames.material,
        summary=health.summary(frames),
        problems=health.problems(frames),
        provenance=health.provenance(frames),
    )


def _typeset(engine: str, folder: Path, build: Path) -> bytes:
    """Return the PDF of the document in ``folder``, the same bytes for the same content.

    TeX reads many characters of a path in ways of its own, so it works in ``build`` and is told
    no path at all: the parts of the document are linked there.
    """
    shutil.copy(asset("references.bib"), build)
    for name in (DOCUMENT, scorecard.SECTION, scorecard.RUNS, "tables", "figures"):
        (build / name).symlink_to(folder / name)
    environment = os.environ | {
        "SOURCE_DATE_EPOCH": "0",
        "FORCE_SOURCE_DATE": "1",
        "max_print_line": "1000",
    }
    options = ["-pdf", "-interaction=nonstopmode", "-halt-on-error", DOCUMENT]
    try:
        done = subprocess.run(
            [engine, *options],
            cwd=build,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ReportError(f"TeX takes more than {TIMEOUT_S} s for {folder / DOCUMENT}.") from None
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.startswith(("!", "l."))]
        raise ReportError(
            f"TeX cannot set {folder / DOCUMENT}:\n  " + "\n  ".join(lines or [done.stderr[-500:]])
        )
    return (build / PDF).read_bytes()
