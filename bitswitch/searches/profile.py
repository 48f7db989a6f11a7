"""Profile: bit-widths rise and fall along the depth of the network; nothing is measured."""

from collections.abc import Callable
from typing import Literal

from bitswitch.contracts.search import Candidate, Problem, Search
from bitswitch.errors import InfeasibleBudgetError
from bitswitch.nn.blocks import block
from bitswitch.types import Strict

ShapeName = Literal["pyramid", "reverse", "increasing", "decreasing"]
"""Where bits are: ``pyramid``, in the middle; ``reverse``, at both ends; ``increasing``, at the
end; ``decreasing``, at the beginning."""

_PLACES: dict[ShapeName, Callable[[float], float]] = {
    "pyramid": lambda depth: abs(2 * depth - 1),
    "reverse": lambda depth: 1 - abs(2 * depth - 1),
    "increasing": lambda depth: 1 - depth,
    "decreasing": lambda depth: depth,
}
"""How far down a block of some depth, 0 to 1, is: 0, it is raised first; 1, last."""


class Profile(Search):
    """Mix'n'Match: the layers of a block share a bit-width, which depends on its depth alone.

    Bit-widths lie on a ramp that falls from the widest to the narrowest, from where the profile has
    its bits to where it has none. The whole ramp is raised until the next step of any block would
    be beyond the budget.

    Source: nair2025matryoshka, section 3.2 (Mix'n'Match), which names the shapes; how long their
    steps are is open.
    """

    source = "nair2025matryoshka"

    class Options(Strict):
        """Default as the publication recommends."""

        shape: ShapeName = "pyramid"
        """Where bits are."""

    options: Options

    def search(self, problem: Problem) -> list[Candidate]:
        blocks: dict[str, list[str]] = {}
        for layer in problem.layers:
            blocks.setdefault(block(layer), []).append(layer)
        widths = sorted(problem.bitset)
        policy = dict.fromkeys(problem.layers, widths[0])
        if not problem.allows(policy):
            limit = problem.limit
            least = problem.costs.total(limit.cost, policy)
            raise InfeasibleBudgetError(limit.cost, limit.value, least)
        for name, bits in _steps(list(blocks), widths, self.options.shape):
            raised = policy | dict.fromkeys(blocks[name], bits)
            if not problem.allows(raised):
                break
            policy = raised
        return [Candidate(policy)]


def _steps(blocks: list[str], widths: list[int], shape: ShapeName) -> list[tuple[str, int]]:
    """Return which block rises to which bit-width, in the order in which a rising ramp does it.

    Args:
        blocks: First to last.
        widths: Narrowest first.
        shape: Where the ramp is highest.
    """
    place = _PLACES[shape]
    count, top = len(blocks), max(1, len(widths) - 1)
    steps = [
        (place((index + 0.5) / count) + level / top, index, widths[level])
        for index in range(count)
        for level in range(1, len(widths))
    ]
    return [(blocks[index], bits) for _, index, bits in sorted(steps)]
