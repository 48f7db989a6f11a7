"""What all plugins share."""

from typing import ClassVar

from bitswitch.types import Strict


class Plugin:
    """Base of all plugins."""

    source: ClassVar[str] = "bitswitch"
    """Citation key of the publication (``report/references.bib``)."""

    class Options(Strict):
        """Settings of this plugin; defaults are the published ones."""

    def __init__(self, options: Strict) -> None:
        self.options = options
