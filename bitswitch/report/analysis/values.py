"""Look up what was measured and what is printed, by place in a table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean, stdev
from typing import Any, NamedTuple

import pandas as pd

from bitswitch.contracts.metric import Metric
from bitswitch.report.analysis import budgets
from bitswitch.report.collect import published
from bitswitch.report.collect.frames import Frames, records
from bitswitch.report.collect.headline import ROLE
from bitswitch.suite.variants import NetworkSpec

FP = ("FP", "32")
"""Bit set and policy of full-precision runs."""

LOST = ("collapsed", "diverged")
"""States of seeds that were trained and failed."""

PRINTED_TITLES = {
    "resnet20": "ResNet-20",
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
    "mobilenetv2": "MobileNetV2",
    "cifar10": "CIFAR-10",
    "imagenet": "ImageNet",
}
"""How the publication writes its models and datasets."""


def printed_title(name: str | None) -> str:
    """Return how the publication writes a model or dataset; an empty text for none."""
    return PRINTED_TITLES.get(name or "", name or "")


class Place(NamedTuple):
    """A column of one variant."""

    variant: str
    bitset: str
    policy: str


class Origin(NamedTuple):
    """One value of a sample, and where it comes from."""

    seeds: str
    """Of the training, and of the search that found the sub-net."""
    value: float | None
    """None where the job has none that counts."""
    status: str
    job: str
    """Identifier of the run, or of the search."""

    @classmethod
    def of(cls, row: "Row", value: float | None, status: str) -> "Origin":
        """Return that of a value.

        Args:
            row: Has seed and run; search and search_seed where a search found it.
            value: See above.
            status: Likewise.
        """
        return cls(seeds_of(row), value, status, str(row.get("search") or row["run"]))


def seeds_of(row: "Row") -> str:
    """Return what tells a job from those that differ in seeds or in the epoch alone.

    >>> seeds_of({"seed": 1, "search_seed": None}), seeds_of({"seed": 0, "search_seed": 2})
    ('seed 1', 'seed 0, search seed 2')
    """
    further = {"search seed": row.get("search_seed"), "epoch": row.get("epoch")}
    told = (f"{name} {int(value)}" for name, value in further.items() if not pd.isna(value))
    return ", ".join((f"seed {int(row['seed'])}", *told))


@dataclass(frozen=True)
class Sample:
    """All seeds at one place."""

    values: dict[int, float]
    """Of complete seeds; where several searches searched a network, the mean of all of them."""
    failed: tuple[tuple[str, str, float | None], ...]
    """(status, reason, measured value) of every other seed."""
    images: int | None
    """Size of the test set."""
    metric: Metric
    """What was measured."""
    unit: str = "seeds"
    """What is counted."""
    origins: tuple[Origin, ...] = ()
    """Of each value; empty where they are not told apart."""
    trained: Mapping[int, int] = field(default_factory=dict)
    """Seed of the training by key of ``values``; empty where keys are these seeds."""

    @property
    def mean(self) -> float:
        """Of the complete seeds, on the metric's scale."""
        return self.metric.mean(self.values.values())

    @cached_property
    def scaled(self) -> dict[int, float]:
        """The values on the metric's scale: what may be subtracted."""
        return {seed: self.metric.scaled(value) for seed, value in self.values.items()}

    @property
    def networks(self) -> list[float]:
        """The values on the metric's scale, of each trained network the mean of its own.

        These alone are drawn independently: searches of one network share what it is.
        """
        found: dict[int, list[float]] = {}
        for key, value in self.scaled.items():
            found.setdefault(self.trained.get(key, key), []).append(value)
        return [fmean(values) for values in found.values()]

    @property
    def total(self) -> int:
        """Number of seeds, complete or not."""
        return len(self.values) + len(self.failed)

    @property
    def count(self) -> str:
        """How many seeds the mean is of, and of how many where some are left out."""
        complete = len(self.values)
        return f"({complete} of {self.total})" if self.failed else f"({complete})"

    @property
    def is_whole(self) -> bool:
        """Whether no seed collapsed or diverged: else the mean is that of survivors."""
        return not any(status in LOST for status, _, _ in self.failed)

    @property
    def spread(self) -> float | None:
        """Standard deviation over seeds on the metric's scale; None for fewer than two."""
        return stdev(self.scaled.values()) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Network:
    """One section of a table."""

    title: str
    name: str | None
    """Key in the suite; None when the suite does not run it."""
    published: str | None
    """Model key of the printed rows; None when there are none."""
    data: str
    """What reproduced numbers were measured on."""
    published_data: str
    """What the printed ones were."""
    incomparable: str | None
    """Why reproduced and printed numbers cannot be compared, or None."""
    metric: Metric
    """The headline of its task."""


def paired(
    networks: Mapping[str, NetworkSpec], models: Iterable[str]
) -> list[tuple[str | None, str | None]]:
    """Return pairs of a network of the suite and a printed model, one per section of a table.

    The printed models come first, each with the first network that is published as it; then every
    other network, alone.

    Args:
        networks: Of an experiment, by key in the suite.
        models: Of printed rows, in their order.
    """
    by_model: dict[str | None, str] = {}
    for name, spec in networks.items():
        by_model.setdefault(spec.published, name)
    first = [(by_model.get(model), model) for model in dict.fromkeys(models)]
    shown = {name for name, _ in first}
    return [*first, *((name, None) for name in networks if name not in shown)]


Row = dict[Any, Any]


class Values:
    """The numbers of one experiment of a suite."""

    def __init__(self, frames: Frames, experiment: str) -> None:
        self.frames = frames
        self.experiment = experiment
        self.recipe = frames.suite.experiments[experiment]
        rows = frames.metrics
        measured = frames.reproduced
        self._rows = measured[measured.experiment == experiment]
        printed = rows[(rows.source == "published") & (rows.experiment == self.recipe.printed)]
        self._printed = printed[printed.metric == published.metric().name]

    @cached_property
    def samples(self) -> dict[str, dict[Place, Sample]]:
        """Headlines on the test split, by network and place."""
        return self._samples(ROLE)

    @cached_property
    def beside(self) -> dict[str, dict[Metric, dict[Place, Sample]]]:
        """What tables print beside headlines, by network and metric; of seeds whose headline is."""
        images = self.frames.by_run.test_images.to_dict()
        tested = self._rows[self._rows.search.isna() & (self._rows.split == "test")]
        found: dict[str, dict[Metric, dict[Place, Sample]]] = {}
        for network, samples in self.samples.items():
            for metric in self.frames.headlines[network].beside:
                rows = tested[(tested.network == network) & (tested.metric == metric.name)]
                places = _by_place(rows).get(network, {})
                known = {
                    place: [row for row in group if int(row["seed"]) in samples[place].values]
                    for place, group in places.items()
                    if place in samples
                }
                found.setdefault(network, {})[metric] = {
                    place: _sample(group, images, metric) for place, group in known.items() if group
                }
        return found

    @cached_property
    def recalibrated(self) -> dict[str, dict[Place, Sample]]:
        """The same with batch-norm statistics estimated anew; empty where that was not done."""
        return self._samples(f"{ROLE}_recalibrated")

    @cached_property
    def uniform(self) -> dict[str, dict[Place, Sample]]:
        """At the places of sub-nets, the widest bit-width for all layers within the budget."""
        return self._samples(f"{ROLE}_uniform")

    def _samples(self, role: str) -> dict[str, dict[Place, Sample]]:
        """Return what was measured in a role on the test split, by network and place."""
        images = self.frames.by_run.test_images.to_dict()
        return {
            network: {
                place: _sample(group, images, self.frames.headlines[network].metric)
                for place, group in places.items()
            }
            for network, places in _by_place(self._role_rows(role)).items()
        }

    def _role_rows(self, role: str) -> pd.DataFrame:
        """Return the rows of a role on the test split, budgets under their headings."""
        rows = self._rows[(self._rows.role == role) & (self._rows.split == "test")]
        if role == ROLE:
            return pd.concat([rows[rows.search.isna()], self._subnets])
        if role == f"{ROLE}_uniform":
            return rows.assign(policy=rows.policy.map(self._budget_titles))
        return rows

    @cached_property
    def headline_rows(self) -> dict[str, dict[Place, list[Row]]]:
        """The rows of ``metrics.csv`` behind ``samples``."""
        return _by_place(self._role_rows(ROLE))

    @cached_property
    def _subnets(self) -> pd.DataFrame:
        """Return the rows about sub-nets, their budget as policy; retrained ones where there are.

        A missing one has a row too; ``budget`` is the name.
        """
        rows = self._rows[self._rows.search.notna() & (self._rows.split == "test")]
        rows = rows[rows.role.isin([ROLE, f"{ROLE}_retrained"])]
        rows = rows.sort_values("role", kind="stable")
        keys = ["network", "variant", "bitset", "seed", "search", "policy"]
        rows = rows.drop_duplicates(keys, keep="last").sort_index()
        return rows.assign(budget=rows.policy, policy=rows.policy.map(self._budget_titles))

    @cached_property
    def _budget_titles(self) -> dict[str, str]:
        """Headings of the columns of sub-nets, by budget."""
        named = budgets.of_experiment(self.frames, self.experiment)
        return {name: budgets.column(budget) for name, budget in named.items()}

    @cached_property
    def printed(self) -> dict[str, dict[Place, float]]:
        """Printed values, by model and place of the variant beside them."""
        variants = self.recipe.variants.items()
        return {
            model: {
                place._replace(variant=variant): float(rows[0]["value"])
                for variant, recipe in variants
                for place, rows in places.items()
                if place.variant == recipe.published
            }
            for model, places in _by_place(self._printed).items()
        }

    @property
    def printed_floats_differ(self) -> bool:
        """Whether printed rows of one network have different full-precision values."""
        return any(
            len({value for place, value in places.items() if place[1:] == FP}) > 1
            for places in self.printed.values()
        )

    def rows_of(self, network: str | None) -> pd.DataFrame:
        """Return the rows of ``metrics.csv`` that were measured on one network of the suite."""
        return self._rows[self._rows.network == network]

    @cached_property
    def negative_shares(self) -> dict[str, dict[Place, float]]:
        """Share of steps with a negative learning rate of the scales; empty when there is none."""
        rows = self._rows[self._rows.metric == "negative_share"]
        if not (rows.value > 0).any():
            return {}
        return {
            network: {
                place: fmean(row["value"] for row in group) for place, group in places.items()
            }
            for network, places in _by_place(rows).items()
        }

    @cached_property
    def networks(self) -> list[Network]:
        """The suite's networks, those of the printed table in its order; then the others."""
        suite = self.frames.suite
        chosen = {name: suite.networks[name] for name in self.recipe.networks}
        return [self._network(*pair) for pair in paired(chosen, self._printed.model)]

    def _network(self, name: str | None, model: str | None) -> Network:
        """Return what is known of one section."""
        rows = self._printed
        printed_on = next(iter(rows.loc[rows.model == model, "dataset"]), "") if model else ""
        spec = self.frames.suite.networks[name] if name else None
        title = spec.title if spec else printed_title(model)
        return Network(
            title=title,
            name=name,
            published=model,
            data=self._data_of(name) if name else "",
            published_data=printed_title(printed_on),
            incomparable=self._incomparable(name, printed_on) if name and model else None,
            metric=self.frames.headlines[name].metric if name else published.metric(),
        )

    def _data_of(self, network: str) -> str:
        """Return the data stamp of a network's runs; nothing before one has ended."""
        return next(iter(self.frames.data_of(self.rows_of(network).run)), "")

    def _incomparable(self, name: str, printed_on: str) -> str | None:
        """Return why numbers of a network cannot be compared with the printed ones, or None."""
        own, printed = self.frames.headlines[name].metric, published.metric()
        if self.frames.suite.data != "published":
            return f"{self.frames.suite.data} data"
        dataset = self.frames.suite.networks[name].dataset.name
        if dataset != printed_on:
            return f"{dataset} is not {printed_on}"
        if own != printed:
            return f"{own.spoken} is not {printed.spoken}"
        return None


def _by_place(rows: pd.DataFrame) -> dict[str, dict[Place, list[Row]]]:
    """Return rows of ``metrics.csv`` by network and place, in the order of the file."""
    found: dict[str, dict[Place, list[Row]]] = {}
    for row in records(rows):
        place = Place(row["variant"], row["bitset"], row["policy"])
        found.setdefault(row["network"], {}).setdefault(place, []).append(row)
    return found


def _sample(rows: list[Row], images: Mapping[Any, int], metric: Metric) -> Sample:
    """Return the seeds at one place; a seed counts as complete when all of its rows are.

    Args:
        rows: One per seed, of a network that was searched one per seed and search.
        images: Size of the test set, by run.
        metric: What was measured.
    """
    by_seed: dict[int, list[Row]] = {}
    for row in rows:
        by_seed.setdefault(int(row["seed"]), []).append(row)
    values, failed = {}, []
    for seed, own in by_seed.items():
        bad = [row for row in own if row["status"] != "complete"]
        if bad:
            worst = next((row for row in bad if row["status"] in LOST), bad[0])
            failed.append((worst["status"], worst["where"] or "", worst["value"]))
        else:
            values[seed] = metric.mean(float(row["value"]) for row in own)
    measured = [row["run"] for row in rows if row["status"] == "complete"]
    size = images[measured[0]] if measured else None
    return Sample(values, tuple(failed), size, metric, origins=tuple(map(_origin, rows)))


def _origin(row: Row) -> Origin:
    value = row["value"] if row["status"] == "complete" else None
    return Origin.of(row, value, row["status"])
