"""Where the report's templates, styles and published numbers lie: the folder ``report/``."""

from pathlib import Path

from bitswitch.errors import ReportError

_PLACES = (Path(__file__).resolve().parents[3] / "report", Path("report"))


def asset(*parts: str) -> Path:
    """Return a file below ``report/`` of the checkout, or of the working directory.

    Raises:
        ReportError: there is no such file.
    """
    for place in _PLACES:
        path = place.joinpath(*parts)
        if path.exists():
            return path
    raise ReportError(
        f"There is no {Path('report', *parts)} in {_PLACES[0].parent} or here.\n"
        f"  Reports are built from a checkout of bitswitch: run in its top folder."
    )
