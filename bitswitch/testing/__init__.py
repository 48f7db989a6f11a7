"""What every plugin has to fulfil, as plain functions: for tests, and for ``check-plugin``."""

from bitswitch.testing.failure import CheckFailed
from bitswitch.testing.methods import CHECKS
from bitswitch.testing.subject import Subject

__all__ = ["CHECKS", "CheckFailed", "Subject"]
