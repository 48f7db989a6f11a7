"""Metrics have their names from tasks and from what is printed: nothing else names one."""

import re
from pathlib import Path

import bitswitch

PACKAGE = Path(bitswitch.__file__).parent
NAMES = re.compile(r"top[-_ ]?1(?!\d)|[=!]= *[\"']accuracy[\"']", re.IGNORECASE)

ALLOWED = {
    "tasks": "where metrics are defined",
    "assets/report/published": "which metric was printed",
    "results/deployments.py": "reads records of before",
}


def is_allowed(place: str) -> bool:
    return any(place == one or place.startswith(f"{one}/") for one in ALLOWED)


def test_only_tasks_and_printed_numbers_name_a_metric_of_classification():
    paths = [*PACKAGE.rglob("*.py"), *(PACKAGE / "assets").glob("*/**/*.j2")]
    paths += (PACKAGE / "assets/workflow").rglob("*.smk")
    assert len(paths) > 300
    places = {path.relative_to(PACKAGE).as_posix(): path for path in paths}
    named = {place for place, path in places.items() if NAMES.search(path.read_text())}
    assert {place for place in named if not is_allowed(place)} == set()
    assert "tasks/classification.py" in named
