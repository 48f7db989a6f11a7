"""What is said of a claim, each with its one definition."""

from bitswitch.report.statistics import VERDICTS

EMBEDDED = "embedded: not evidence for or against"
"""Verdict on whatever embedded data show."""
REHEARSAL = "rehearsal: noise is no evidence"
"""Verdict on whatever made-up data show."""
NO_EVIDENCE = {"embedded": EMBEDDED, "made-up": REHEARSAL}
"""Verdict on whatever is shown, by what the data of a suite are; of others there is evidence."""

MEANINGS: dict[str, str] = {
    **{str(verdict): meaning for verdict, meaning in VERDICTS.items()},
    EMBEDDED: "Training is real, but too small and too short to say anything of a claim; what was "
    "found is shown.",
    REHEARSAL: "Every job ran in a few steps on noise, which says that jobs run, and nothing else.",
}
"""What each verdict means."""
