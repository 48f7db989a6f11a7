"""What one check found."""

from typing import Literal, NamedTuple

State = Literal["ok", "missing", "broken"]


class Finding(NamedTuple):
    """One line of a checkup."""

    what: str
    """Was looked at."""
    state: State
    found: str
    """In a few words."""
    needed_by: str
    mend: str = ""
    """The command that mends it; empty where there is nothing to mend."""
    stops: bool = False
    """Whether `make all` cannot go through before it is mended."""

    def lines(self) -> list[str]:
        """Return it as text; what is not as it should be says for what, and how to mend it.

        >>> Finding("clock", "ok", "right", "Snakemake").lines()
        ['ok       clock: right']
        """
        first = f"{self.state:8} {self.what}: {self.found}"
        if self.state == "ok":
            return [first]
        stops = ", and stops make all" if self.stops else ""
        mend = [f"{'':8} {self.mend}"] if self.mend else []
        return [first, f"{'':8} needed by {self.needed_by}{stops}", *mend]


def size(mebibytes: float) -> str:
    """Return a size for people.

    >>> size(300), size(2048)
    ('300 MiB', '2.0 GiB')
    """
    return f"{mebibytes / 1024:.1f} GiB" if mebibytes >= 1024 else f"{mebibytes:.0f} MiB"
