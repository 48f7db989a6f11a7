"""Which layers a normalisation comes after: by data flow, or by an order of names."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from bitswitch.nn.dataflow import Flow

Bits = tuple[int, int]
"""(weight, input) bit-widths of one layer."""


class Followed(NamedTuple):
    """The two switchable layers that a normalisation comes after."""

    layer: str | None
    """The one that its input was made by; None: no switchable layer comes before it."""
    before: str | None
    """The one that ran directly before that one, if any."""

    def bits(self, chosen: Mapping[str, Bits], first: Bits) -> tuple[Bits, Bits]:
        """Return the bit-widths of both.

        Args:
            chosen: Of every switchable layer.
            first: Of the first one; stands in where ``layer`` is None.
        """
        here = first if self.layer is None else chosen[self.layer]
        return here, here if self.before is None else chosen[self.before]


def by_names(names: Iterable[str], layers: Collection[str]) -> dict[str, Followed]:
    """Return what each of ``names`` that is no layer follows: the last two layers before it.

    Args:
        names: Of switchable layers and others, in the order that counts.
        layers: The switchable ones.

    >>> by_names(["stem_norm", "a", "b", "norm"], ["a", "b"])["norm"]
    Followed(layer='b', before='a')
    """
    found: dict[str, Followed] = {}
    passed: list[str | None] = [None, None]
    for name in names:
        if name in layers:
            passed.append(name)
        else:
            found[name] = Followed(passed[-1], passed[-2])
    return found


def by_flow(flow: Flow, layers: Collection[str]) -> dict[str, Followed]:
    """Return what each batch norm follows whose input is known to come from the network's.

    Its layer is the switchable one that its input was made by, through others that are not
    switchable if need be. Of several, whose outputs were added, say, it is the last that ran.

    Args:
        flow: Of the float network.
        layers: The switchable ones.
    """
    calls = [name for name in flow.calls if name in layers]
    ran_before = dict(zip(calls, [None, *calls], strict=False))
    found = {}
    for norm, sources in flow.norms.items():
        nearest = set(_nearest(sources, flow, layers))
        layer = next((name for name in reversed(calls) if name in nearest), None)
        found[norm] = Followed(layer, None if layer is None else ran_before[layer])
    return found


def _nearest(sources: Iterable[str], flow: Flow, layers: Collection[str]) -> Iterator[str]:
    """Yield ``sources``, and what came before those of them that are not switchable."""
    waiting, seen = list(sources), set()
    while waiting:
        name = waiting.pop()
        if name in layers:
            yield name
        elif name not in seen:
            seen.add(name)
            waiting += flow.layers.get(name, ())
