"""The report as a LaTeX document, and as PDF where there is a TeX engine."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from bitswitch.errors import ReportError
from bitswitch.report.analysis import health, methods
from bitswitch.report.collect.frames import Frames
from bitswitch.report.document import exact, scorecard, sources
from bitswitch.report.document.engine import HOW_TO_GET_TEX, find_engine
from bitswitch.report.figures import figures
from bitswitch.report.render import latex, marks
from bitswitch.report.render.assets import asset
from bitswitch.report.tables import tables
from bitswitch.results.files import write_bytes
from bitswitch.suite.suite import Suite

DOCUMENT, PDF, NOTICE = "report.tex", "report.pdf", "report.pdf.missing.txt"

BIBLIOGRAPHY, RESOLVED = "references.bib", "report.bbl"
"""What the document cites, and that as TeX prints it."""

TIMEOUT_S = 300

NEEDED = (
    *("metrics", "tasks", "runs", "methods", "sensitivities", "policies", "deployments"),
    "repeats",
)
"""Tables that documents read."""


def output_name() -> str:
    """Return the name of the file that ``write`` makes here: the PDF, or why there is none."""
    return PDF if find_engine() else NOTICE


def write(suite: Suite, folder: Path) -> Path:
    """Write ``report.tex``, its sources and ``report.pdf``; return the path of the PDF.

    Without a TeX engine, the returned file says how to get one.

    Args:
        suite: Whose tables and figures lie in ``folder``.
        folder: ``results/<suite>``.

    Raises:
        ReportError: a table or figure is missing, or TeX stops with an error.
    """
    write_bytes(folder / DOCUMENT, document(suite, folder).encode())
    members, cited = [DOCUMENT, *parts(suite)], asset(BIBLIOGRAPHY).read_bytes()
    engine = find_engine()
    if engine is None:
        sources.write(folder, members, {BIBLIOGRAPHY: cited})
        write_bytes(folder / NOTICE, HOW_TO_GET_TEX.encode())
        return folder / NOTICE
    with TemporaryDirectory() as build:
        _typeset(engine, folder.resolve(), Path(build))
        resolved = (Path(build) / RESOLVED).read_bytes()
        write_bytes(folder / PDF, (Path(build) / PDF).read_bytes())
    sources.write(folder, members, {BIBLIOGRAPHY: cited, RESOLVED: resolved})
    (folder / NOTICE).unlink(missing_ok=True)
    return folder / PDF


FIRST = (scorecard.SECTION, exact.SECTION, scorecard.CLAIMS, scorecard.RUNS, tables.STYLE)
"""What the document includes besides tables and figures."""


def parts(suite: Suite) -> list[str]:
    """Return the files that the document of a suite includes, by their paths from its own."""
    shown = [f"tables/{name}.tex" for name in tables.names(suite)]
    return [*FIRST, *shown, *(f"figures/{name}.pdf" for name in figures.of(suite))]


def document(suite: Suite, folder: Path) -> str:
    """Return the LaTeX document; it includes ``tables/*.tex`` and ``figures/*.pdf``."""
    frames = Frames.read(folder, *NEEDED)
    for part in parts(suite):
        if not (folder / part).is_file():
            raise ReportError(
                f"{folder / part} is missing.\n"
                f"  Make all parts of the report: bitswitch report SUITE"
            )
    return latex.render(
        "paper/main.tex.j2",
        suite=suite,
        tables=[f"tables/{name}.tex" for name in tables.names(suite)],
        figures=figures.of(suite),
        methods=methods.listed(frames),
        definitions=frames.definitions,
        marks=[marks.Mark(word) for word in marks.SIGNS],
        interval=marks.INTERVAL,
        material=frames.material,
        summary=health.summary(frames),
        problems=health.problems(frames),
        provenance=health.provenance(frames),
    )


def _typeset(engine: str, folder: Path, build: Path) -> None:
    """Leave the PDF of the document in ``build``, the same bytes for the same content.

    TeX reads many characters of a path in ways of its own, so it works in ``build`` and is told
    no path at all: the parts of the document are linked there.
    """
    shutil.copy(asset(BIBLIOGRAPHY), build)
    for name in (DOCUMENT, *FIRST, "tables", "figures"):
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
