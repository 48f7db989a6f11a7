"""What it takes to have a trained network or a sub-net, with all that has to be there before."""

from math import nan
from typing import NamedTuple

from bitswitch.report.collect.frames import Frames


class ScoreEffort(NamedTuple):
    """Seconds that the scores of a search took; 0 where it reads none, NaN where not known."""

    training_time_s: float
    """Of networks that are trained for them alone."""
    scoring_time_s: float


class Effort:
    """Adds up what jobs took, each with those that it needs.

    Full-precision networks are left out: all rows of a table share them.
    """

    def __init__(self, frames: Frames) -> None:
        runs, scorings = frames.runs, frames.sensitivities
        self._training = dict(zip(runs.run, runs.train_time_s, strict=True))
        self._training |= dict.fromkeys(runs.run[runs.bitset == "FP"], 0.0)
        self._scoring = dict(zip(scorings.sensitivity, scorings.time_s, strict=True))
        self._needs: dict[str, list[str]] = {}
        for row in frames.needs.itertuples():
            self._needs.setdefault(str(row.job), []).append(str(row.needs))

    def of_network(self, run: str) -> float:
        """Return the seconds of training ``run``, networks that it starts from and its guides."""
        needed = {run, *self._all_needed(run)}
        return self._sum(self._training, needed) + self._sum(self._scoring, needed)

    def of_scores(self, search: str, run: str) -> ScoreEffort:
        """Return what ``search`` needs beyond the network ``run`` that it searches.

        Scores that it reads count in full, even where the network has used them too.
        """
        if search not in self._needs:  # of a skipped row
            return ScoreEffort(nan, nan)
        alone = self._all_needed(search) - {run, *self._all_needed(run)}
        read = {job for job in self._needs[search] if job in self._scoring}
        return ScoreEffort(self._sum(self._training, alone), self._sum(self._scoring, alone | read))

    def _all_needed(self, job: str) -> set[str]:
        found: set[str] = set()
        waiting = [job]
        while waiting:
            new = set(self._needs.get(waiting.pop(), ())) - found
            found |= new
            waiting += new
        return found

    def _sum(self, times: dict[str, float], jobs: set[str]) -> float:
        """Return the sum over the ``jobs`` of one kind; NaN where one is missing."""
        return sum(float(times[job]) for job in sorted(jobs & times.keys()))
