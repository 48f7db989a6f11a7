"""What stands where in one network's part of an accuracy table."""

from collections.abc import Iterable, Iterator, Mapping

from bitswitch.report.analysis import methods
from bitswitch.report.analysis.values import FP, Network, Place, Sample, Values
from bitswitch.report.collect.frames import Frames
from bitswitch.report.tables.conditions import is_distilled
from bitswitch.suite.variants import VariantSpec

Column = tuple[str, str]
"""Bit set and policy."""

OWN = "bitswitch"
"""Source of methods that come from no publication."""


class Grid:
    """Variants by columns, with printed and measured values at their places."""

    def __init__(self, values: Values, network: Network) -> None:
        self.variants = values.recipe.variants
        self.samples: Mapping[Place, Sample] = values.samples.get(network.name or "", {})
        self.recalibrated = values.recalibrated.get(network.name or "", {})
        self.uniform = values.uniform.get(network.name or "", {})
        self.printed: Mapping[Place, float] = values.printed.get(network.published or "", {})
        self.negative = values.negative_shares.get(network.name or "", {})
        self.columns, self.has_float = _columns([*self.printed, *self.samples])
        self.origins = {
            key: _origin(values.frames, variant) for key, variant in self.variants.items()
        }
        """Citation key of every variant's method, or what else tells it from others."""
        self.sliced = set(_sliced(values, network))
        """Places of bit-widths that no step trained."""
        self.beside = values.beside.get(network.name or "", {})
        self._float_inputs = set(_weights_alone(values, network))
        spec = values.frames.suite.networks.get(network.name or "")
        self._distilled = {
            key: is_distilled(variant, spec) for key, variant in self.variants.items()
        }

    def places(self, variant: str) -> list[Place]:
        """Return the places of one variant's row, full precision last."""
        places = [Place(variant, *column) for column in self.columns]
        return [*places, Place(variant, *FP)] if self.has_float else places

    def sample(self, place: Place | None) -> Sample | None:
        """Return what was measured at ``place``."""
        return measured_at(place, self.samples) if place else None

    def has_float_inputs(self, column: Column) -> bool:
        """Return whether every row that has a column quantizes weights alone."""
        there = [place for place in self.samples if place[1:] == column]
        return bool(there) and self._float_inputs.issuperset(there)

    def stands_out(self, variant: str) -> bool:
        """Return whether a row quantizes weights alone in a column where another does not."""
        own = [place for place in self._float_inputs if place.variant == variant]
        return any(not self.has_float_inputs((place.bitset, place.policy)) for place in own)

    def is_printed(self, variant: str) -> bool:
        """Return whether the publication has a row that stands beside ``variant``."""
        return any(place in self.printed for place in self.places(variant))

    def is_run(self, variant: str) -> bool:
        """Return whether the suite runs ``variant`` on this network."""
        return any(place.variant == variant for place in self.samples)

    def is_distilled(self, variant: str) -> bool:
        """Return whether ``variant`` learns from soft targets."""
        return self._distilled[variant]

    def alike(self, variant: str) -> set[str]:
        """Return the variants that learn from soft targets like ``variant``, or do not like it."""
        kind = self._distilled[variant]
        return {other for other, distilled in self._distilled.items() if distilled == kind}


def _sliced(values: Values, network: Network) -> Iterator[Place]:
    """Yield the places of bit-widths that are sliced from a model trained at others."""
    widths = values.frames.by_run.sliced.fillna("").astype(str).str.split()
    rows = values.rows_of(network.name)
    for run, *place in zip(rows.run, rows.variant, rows.bitset, rows.policy, strict=True):
        if place[-1] in widths.get(run, ()):
            yield Place(*place)


def _weights_alone(values: Values, network: Network) -> Iterator[Place]:
    """Yield the places whose inputs stay at full precision."""
    inputs = values.frames.by_run.inputs.to_dict()
    rows = values.rows_of(network.name)
    for run, *place in zip(rows.run, rows.variant, rows.bitset, rows.policy, strict=True):
        if inputs.get(run) == "float":
            yield Place(*place)


def _origin(frames: Frames, variant: VariantSpec) -> str:
    """Return where the method of ``variant`` comes from."""
    if variant.not_run:
        return variant.title
    name = variant.method.name
    source = methods.source(frames, name)
    return name if source in ("", OWN) else source


def is_float(place: Place) -> bool:
    """Return whether ``place`` is in the column of full precision."""
    return (place.bitset, place.policy) == FP


def measured_at(place: Place, samples: Mapping[Place, Sample]) -> Sample | None:
    """Return the sample at ``place``; all variants share the full-precision runs."""
    return samples.get(place._replace(variant="float") if is_float(place) else place)


def _columns(places: Iterable[Place]) -> tuple[list[Column], bool]:
    """Return bit sets in order of appearance, each widest first, and whether FP is one."""
    found = dict.fromkeys((place.bitset, place.policy) for place in places)
    bitsets = list(dict.fromkeys(bitset for bitset, _ in found))
    columns = [column for column in found if column != FP]
    return sorted(columns, key=lambda c: (bitsets.index(c[0]), _narrowness(c[1]))), FP in found


def _narrowness(policy: str) -> int:
    """Return a sort key: widest first, mixed precision last."""
    return -int(policy) if policy.isdigit() else 0
