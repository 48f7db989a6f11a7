"""A report that is made again as jobs end.

It lies in a folder of its own: the workflow makes the final one when all jobs are done, and removes
its files before, and no step of the two may meet.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bitswitch.errors import BitswitchError
from bitswitch.report.collect import collect
from bitswitch.report.collect.frames import Frames
from bitswitch.report.document import html, parts
from bitswitch.report.document.progress import Progress, State, results_of, states
from bitswitch.report.figures import figures
from bitswitch.suite.suite import Suite

FOLDER = "so-far"
"""Below that of the suite's report."""
LOOK_S = 1.0
"""From one look at the results to the next."""
QUIET_S = 3.0
"""Jobs that end together are shown together: so long nothing more has ended."""
LONGEST_S = 15.0
"""But no longer than so long after the first."""
PICTURES = ("svg",)
"""Files of a figure that the page shows."""
REST = 4.0
"""Times as long as making the report took, nothing is made: training needs the processor."""


class Watch:
    """Makes the report of a suite whenever there is more to show.

    Args:
        suite: What is watched.
        results: Folder that holds ``runs/``.
        allow_mixed: Accept runs of different code versions.
        called: What commands call the suite, a path say; None: its name.
    """

    def __init__(
        self, suite: Suite, results: Path, allow_mixed: bool = False, called: str | None = None
    ) -> None:
        self.folder = results / suite.name / FOLDER
        self.page = self.folder / html.PAGE
        self._suite, self._results, self._allow_mixed = suite, results, allow_mixed
        self._called = called
        self._files = results_of(suite, results)
        self._all = list(dict.fromkeys(file for made in self._files.values() for file in made))
        self._shown_in = figures.experiments(suite)
        self._seen: dict[Path, State] | None = None
        self._shown = Progress(0, len(self._all))
        self._rest_until = 0.0

    def __iter__(self) -> Iterator[Progress]:
        """Yield how much there is, each time that the report shows it, until it is all."""
        while True:
            now = self._settled()
            try:
                self._make(now)
            except BitswitchError:
                if self._look() == now:
                    raise
                continue  # of a job that has begun anew meanwhile
            yield self._shown
            if self._shown.is_complete:
                return
            while self._look() == self._seen or time.monotonic() < self._rest_until:
                time.sleep(LOOK_S)

    def stop(self) -> None:
        """Let the page that there is no longer say that it grows."""
        if self._shown.growing:
            with suppress(BitswitchError):
                html.write(self._suite, self.folder, self._shown._replace(growing=False))

    def _look(self) -> dict[Path, State]:
        return states(self._all)

    def _settled(self) -> dict[Path, State]:
        """Return what there is, once nothing more has ended for a while."""
        now, latest = self._look(), time.monotonic() + LONGEST_S
        while self._seen is not None and time.monotonic() < latest:
            time.sleep(QUIET_S)
            before, now = now, self._look()
            if now == before:
                break
        return now

    def _make(self, now: dict[Path, State]) -> None:
        """Make the report of what there is now."""
        began = time.monotonic()
        progress = Progress(len(now), len(self._all), growing=len(now) < len(self._all))
        collect.write(self._suite, self._results, self._allow_mixed, self.folder)
        frames = Frames.read(self.folder)
        parts.write(frames, self.folder, self._called)
        for name in self._changed(now):
            figures.write(name, self.folder, frames, PICTURES)
        html.write(self._suite, self.folder, progress)
        self._seen, self._shown = now, progress
        ended = time.monotonic()
        self._rest_until = ended + REST * (ended - began)

    def _changed(self, now: dict[Path, State]) -> list[str]:
        """Return the figures that show a result that has come or changed since the last time."""
        seen = self._seen
        if seen is None:
            return list(self._shown_in)
        changed = {
            name
            for name, files in self._files.items()
            if any(seen.get(file) != now.get(file) for file in files)
        }
        return [name for name, shown in self._shown_in.items() if changed.intersection(shown)]
