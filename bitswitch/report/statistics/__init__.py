"""What may be said about a handful of seeds, a test set, and printed numbers.

Pure functions on numbers; docs/explanation/statistics.md says which is used when, and what was
measured of them. scipy is imported where it is used, since that takes a second.
"""

from bitswitch.report.statistics.agreement import Agreement, agreement
from bitswitch.report.statistics.discordance import Discordance, discordant
from bitswitch.report.statistics.evidence import Evidence, Kind
from bitswitch.report.statistics.intervals import LEVEL, Interval, bca, half_width, interval
from bitswitch.report.statistics.judgement import TIMED, judge, judge_all
from bitswitch.report.statistics.paired import Paired, paired
from bitswitch.report.statistics.power import POWER, detectable, fewest_seeds, seeds_needed
from bitswitch.report.statistics.significance import (
    clustered_mcnemar,
    equivalence,
    holm,
    mcnemar,
    sign_flip,
    student,
)
from bitswitch.report.statistics.verdicts import VERDICTS, Judgement, Verdict, said

__all__ = [
    "LEVEL",
    "POWER",
    "TIMED",
    "VERDICTS",
    "Agreement",
    "Discordance",
    "Evidence",
    "Interval",
    "Judgement",
    "Kind",
    "Paired",
    "Verdict",
    "agreement",
    "bca",
    "clustered_mcnemar",
    "detectable",
    "discordant",
    "equivalence",
    "fewest_seeds",
    "half_width",
    "holm",
    "interval",
    "judge",
    "judge_all",
    "mcnemar",
    "paired",
    "said",
    "seeds_needed",
    "sign_flip",
    "student",
]
