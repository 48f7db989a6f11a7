"""How a check says what is wrong."""

from bitswitch.errors import PluginError


class CheckFailed(PluginError):  # noqa: N818  (a finding)
    """A plugin breaks its contract.

    Args:
        problem: What is wrong and where, in plain words.
        remedy: What to do about it.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}\n  {remedy}")


def require(holds: bool, problem: str, remedy: str) -> None:
    """Raise unless ``holds``.

    Raises:
        CheckFailed: it does not.
    """
    if not holds:
        raise CheckFailed(problem, remedy)
