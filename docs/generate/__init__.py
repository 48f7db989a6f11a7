"""Parts of pages that are made from the package itself, and a check of what was built."""

from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
"""Of the repository."""
