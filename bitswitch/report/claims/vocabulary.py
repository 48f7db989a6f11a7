"""What is said of a claim, each with its one definition."""

from bitswitch.report.statistics import VERDICTS

EMBEDDED = "embedded: not evidence for or against"
"""Verdict on whatever embedded data show."""

MEANINGS: dict[str, str] = {
    **{str(verdict): meaning for verdict, meaning in VERDICTS.items()},
    EMBEDDED: "Training is real, but too small and too short to say anything of a claim; what was "
    "found is shown.",
}
"""What each verdict means."""
