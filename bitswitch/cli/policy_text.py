"""Policies as text: one file, or two side by side."""

from collections.abc import Mapping

from bitswitch.errors import RecordError
from bitswitch.results.policies import CostsRecord, PolicyFile
from bitswitch.text import aligned

BITS_PER_MIB = 8 * 2**20

_COSTS = (
    ("BitOps", "bitops", 1e9, "G"),
    ("size", "size", BITS_PER_MIB, "MiB"),
    ("average bits", "average_bits", 1.0, ""),
    ("weighted average bits", "weighted_average_bits", 1.0, ""),
    ("activation bits", "activation_bits", 1.0, ""),
    ("latency", "latency", 1.0, "ms"),
)
"""Title, field, divisor and unit of every cost."""


def shown(file: PolicyFile) -> str:
    """Return one policy as text."""
    where = f"{file.model} on {file.dataset}, run {file.run}"
    found = f"found by {file.search} within {file.budget}"
    held_out = file.held_out
    selected = "" if held_out is None else f", held-out {held_out.title} {held_out}"
    bits = [(name, _pair(operands)) for name, operands in file.layers.items()]
    costs = [(title, value) for title, value in _costs(file.costs).items()]
    return "\n".join(
        [
            where,
            found + selected,
            f"first and last layer: {file.costs.first_last}",
            "",
            *aligned(bits),
            "",
            *aligned(costs),
        ]
    )


def difference(first: PolicyFile, second: PolicyFile) -> str:
    """Return where two policies of one network differ, and the costs of both.

    Raises:
        RecordError: they are of different networks.
    """
    if list(first.layers) != list(second.layers):
        own = set(first.layers) ^ set(second.layers)
        raise RecordError(
            f"The policies are of different networks: one is of {first.model}, the other of "
            f"{second.model}; {len(own)} layers are in one alone.\n"
            f"  Compare policies of the same model."
        )
    changed = [
        (name, _pair(operands), _pair(second.layers[name]))
        for name, operands in first.layers.items()
        if operands != second.layers[name]
    ]
    lines = [f"{len(changed)} of {len(first.layers)} layers differ"]
    lines += aligned([("", first.search, second.search), *changed]) if changed else []
    costs, others = _costs(first.costs), _costs(second.costs)
    rows = [(title, costs.get(title, "-"), others.get(title, "-")) for title in {**costs, **others}]
    if first.costs.first_last != second.costs.first_last:
        rows.append(("first and last layer", first.costs.first_last, second.costs.first_last))
    found = [file.held_out for file in (first, second)]
    titles = dict.fromkeys(one.title for one in found if one is not None)
    values = ("-" if one is None else str(one) for one in found)
    last = (f"held-out {' / '.join(titles)}".rstrip(), *values)
    return "\n".join([*lines, "", *aligned([*rows, last])])


def _costs(costs: CostsRecord) -> Mapping[str, str]:
    """Return the costs that are known, formatted, by title."""
    values = ((title, getattr(costs, field), by, unit) for title, field, by, unit in _COSTS)
    return {
        title: f"{value / divisor:.4g} {unit}".rstrip()
        for title, value, divisor, unit in values
        if value is not None
    }


def _pair(operands: tuple[int, int]) -> str:
    return f"w{operands[0]}a{operands[1]}"
