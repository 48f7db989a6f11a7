"""The report as one self-contained page: tables, figures, methods, run health, provenance."""

import re
from collections.abc import Collection, Mapping
from html import unescape
from pathlib import Path

from markupsafe import Markup

from bitswitch.errors import ReportError
from bitswitch.report.analysis import health, methods
from bitswitch.report.claims import scorecard as claims
from bitswitch.report.collect.columns import TABLES
from bitswitch.report.collect.frames import Frames
from bitswitch.report.document import exact, job_lists, pdf, run_pages, scorecard
from bitswitch.report.document.progress import Progress
from bitswitch.report.figures import figures
from bitswitch.report.render import marks, page
from bitswitch.report.render.behind import coded, decoded
from bitswitch.report.tables import tables
from bitswitch.results.files import write_bytes
from bitswitch.suite.suite import Suite

PAGE = "report.html"

LIMIT = 3_000_000
"""Bytes; a page that would be larger leads to the figures of further networks, beside it."""

_BESIDE = Markup('<p>Drawn beside this page: <a href="{0}">{0}</a></p>')
_LINK = re.compile(r'href="#([^"]+)"')
_JOBS = re.compile(r'data-jobs="([^"]*)"')
_NAMED = re.compile(r'(<td[^>]*?) id="([^"]+)"')


def write(suite: Suite, folder: Path, progress: Progress | None = None) -> Path:
    """Write ``report.html`` and the pages of runs below ``folder``; return the path of the first.

    Args:
        suite: Whose tables and figures lie in ``folder``.
        folder: ``results/<suite>``.
        progress: How many jobs are done, which the page says while some are not.

    Raises:
        ReportError: a table or figure is missing.
    """
    frames = Frames.read(folder, *pdf.NEEDED, *run_pages.NEEDED)
    shown = figures.of(suite)
    names = tables.names(suite)
    jobs = job_lists.lists(frames)
    listed = [line[0] for one in jobs for line in one.lines[1:]]
    numbers = {name: number for number, name in enumerate(listed)}
    first = {
        name: _counted(_content(folder / name), numbers) for name in (scorecard.PAGE, exact.PAGE)
    }
    images = {name: _content(folder / f"figures/{name}.svg") for name in shown}
    wanted = {name for part in first.values() for name in _LINK.findall(part)}
    text = page.document(
        "report.html.j2",
        suite=suite,
        progress=progress,
        scorecard=first[scorecard.PAGE],
        exact=first[exact.PAGE],
        tables={
            name: _counted(_linked(_content(folder / f"tables/{name}.html"), wanted), numbers)
            for name in names
        },
        titles=dict(zip(names, suite.experiments.values(), strict=True)),
        figures=shown,
        images=images,
        methods=methods.listed(frames),
        definitions=frames.definitions,
        marks=[marks.Mark(word) for word in marks.SIGNS],
        interval=marks.INTERVAL,
        material=frames.material,
        summary=health.summary(frames),
        jobs=jobs,
        provenance=health.provenance(frames),
        spec=(folder / "suite.yaml").read_text(),
        pages=f"{run_pages.FOLDER}/",
        files=[*(f"{name}.csv" for name in TABLES), claims.NAME],
        document=pdf.output_name(),
    )
    if len(text.encode()) > LIMIT:
        for name in (name for name, drawn in shown.items() if drawn.is_further):
            text = text.replace(images[name], _BESIDE.format(f"figures/{name}.svg"), 1)
    run_pages.write(frames, folder)
    write_bytes(folder / PAGE, text.encode())
    return folder / PAGE


def _linked(table: Markup, wanted: Collection[str]) -> Markup:
    """Return a table whose cells have no names but those that the page leads to."""
    return Markup(_NAMED.sub(lambda one: one[0] if one[2] in wanted else one[1], table))


def _counted(part: Markup, numbers: Mapping[str, int]) -> Markup:
    """Return a part of the page that counts jobs in its lists instead of naming them.

    Args:
        part: As it stands beside the page, with names.
        numbers: Of the jobs in the lists.
    """

    def counted(found: re.Match[str]) -> str:
        names = (one.partition(" ") for one in decoded(unescape(found[1])))
        shown = (f"{numbers.get(job, job)} {value}".rstrip() for job, _, value in names)
        return Markup('data-jobs="{}"').format(coded(shown))

    return Markup(_JOBS.sub(counted, part))


def _read(path: Path) -> bytes:
    """Return a part of the page."""
    try:
        return path.read_bytes()
    except OSError:
        raise ReportError(
            f"{path} is missing.\n  Make all parts of the report: bitswitch report SUITE"
        ) from None


def _content(path: Path) -> Markup:
    """Return a file of this package's own making, as it is."""
    return Markup(_read(path).decode())
