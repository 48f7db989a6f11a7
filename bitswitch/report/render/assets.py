"""Where the report's templates, styles and published numbers lie: the folder ``report/``."""

from pathlib import Path

from bitswitch import assets


def asset(*parts: str) -> Path:
    """Return a file below ``report/``.

    Raises:
        BitswitchError: the installation lacks it.
    """
    return assets.asset("report", *parts)
