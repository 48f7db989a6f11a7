"""Few made-up pictures in place of a real dataset: noise, in files and folders called as its own.

They lie apart from the real ones, and whatever is made with them says so.
"""

from pathlib import Path

from pydantic import PositiveInt

from bitswitch.types import Strict

FOLDER = "made-up"
"""Below the data folder: whatever is made up there is called as the real data are."""
VAL_SHARE = 10
"""Of so many training images, one is for validation."""
REMEDY = (
    "make them up: 'bitswitch data fake --suite SUITE', with the suite that asks for them;\n"
    "  then 'bitswitch data check --suite SUITE' looks at them"
)


class Few(Strict):
    """How many classes are made up, as an option of a dataset."""

    classes: PositiveInt
    per_class: PositiveInt
    """Training images of each class, and one for validation for every ten, one at least; of
    CIFAR-10, in each of its six files."""

    @property
    def counts(self) -> dict[str, int]:
        """Images of every class, by split."""
        return {"train": self.per_class, "val": max(self.per_class // VAL_SHARE, 1)}


def below(root: Path, is_made_up: bool) -> Path:
    """Return where datasets lie: real ones in ``root``, made-up ones in a folder of their own."""
    return root / FOLDER if is_made_up else root
