"""What every plugin has to fulfil, as plain functions: for tests, and for ``check-plugin``."""

from bitswitch.checks.failure import CheckFailed
from bitswitch.checks.methods import CHECKS
from bitswitch.checks.subject import Subject

__all__ = ["CHECKS", "CheckFailed", "Subject"]
