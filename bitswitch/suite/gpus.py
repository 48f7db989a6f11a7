"""How many GPUs share each run of a suite: so many for all, or for those of each network."""

from collections.abc import Mapping

from bitswitch.errors import SpecError, hint, shown
from bitswitch.plugins import facts
from bitswitch.suite.suite import Suite


def per_run(suite: Suite, wanted: int | Mapping[str, int | str]) -> dict[str, int]:
    """Return how many GPUs share each run, by its id.

    A run of several networks gets the most that one of them asks for. Methods that look at whole
    batches, which several processes cut, get one.

    Args:
        suite: Of the runs.
        wanted: For all runs, or by network, where one is enough for those that it does not name.

    Raises:
        SpecError: the suite has no such network.
    """
    if isinstance(wanted, int):
        wanted = dict.fromkeys(suite.networks, wanted)
    for name in wanted:
        if name not in suite.networks:
            raise SpecError(
                f"gpus_per_run: suite '{suite.name}' has no network '{shown(name)}'."
                f"{hint(name, suite.networks)} known: {', '.join(suite.networks)}"
            )
    found = dict.fromkeys(suite.runs, 1)
    for cell in suite.run_cells:
        count = int(wanted.get(cell.network, 1))
        for run in cell.runs if count > 1 else ():
            if not facts.needs_whole_batch(run):
                found[run.run_id] = max(found[run.run_id], count)
    return found
