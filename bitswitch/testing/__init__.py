"""What every plugin has to fulfil, as plain functions, run by ``bitswitch plugins check``."""

from bitswitch.testing.failure import CheckFailed
from bitswitch.testing.methods import CHECKS
from bitswitch.testing.subject import Subject

__all__ = ["CHECKS", "CheckFailed", "Subject"]
