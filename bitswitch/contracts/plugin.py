"""What all plugins share."""

from typing import ClassVar

from bitswitch.types import Strict


class Plugin:
    """Base of all plugins."""

    source: ClassVar[str] = "bitswitch"
    """Citation key of the publication (``report/references.bib``)."""

    Options: ClassVar[type[Strict]] = Strict
    """Settings, a nested class of each plugin that has some; defaults are the published ones."""

    def __init__(self, options: Strict) -> None:
        self.options = options
