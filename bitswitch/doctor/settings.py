"""What the settings of the working folder say."""

from pathlib import Path
from typing import Any

from bitswitch.spec.yaml_files import read_yaml

SETTINGS = Path("config/config.yaml")


def setting(key: str, otherwise: str) -> str:
    """Return what is set for ``key``, or ``otherwise`` where nothing is."""
    settings: Any = read_yaml(SETTINGS) if SETTINGS.exists() else None
    return str(settings.get(key, otherwise)) if isinstance(settings, dict) else otherwise
