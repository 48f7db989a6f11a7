"""Tests of ``bitswitch.report.render.behind``."""

import re
from itertools import product

from bitswitch.report.render import page
from bitswitch.report.render.behind import Behind, coded, decoded
from bitswitch.report.render.marks import Mark
from bitswitch.report.render.table import Detail, Entry, Group, Line, Section, Table, Value


def table_of(*lines: Line) -> Table:
    return Table("t", "t", "s", (Section("s", "", (Group("", ("x", "y")),), lines),))


def test_names_are_told_once_and_in_full():
    names = ["a-s0-12", "a-s1-34", "b", "a-s1-34x", "c~d"]
    assert decoded(coded(names)) == names


def test_values_count_the_jobs_of_their_table():
    values = [Value(f"seed {seed}", f"9{seed}.5", f"run-s{seed}") for seed in range(3)]
    first = Entry("1", detail=Detail("3 seeds", values=tuple(values)))
    second = Entry("2", detail=Detail("2 seeds", values=(values[2], values[0])))
    row = Line("l", "", (first, second), detail=Detail("1 run", values=(values[1],)))
    behind = Behind.of(table_of(row))
    found = re.search(r'data-jobs="([^"]*)"', behind.names)
    assert found is not None
    assert decoded(found[1]) == ["run-s1 seed 1", "run-s0 seed 0", "run-s2 seed 2"]
    assert 'data-values="1=90.5|0=91.5|2=92.5"' in behind(first)
    assert 'data-n="2 seeds" data-values="2=92.5|1=90.5"' in behind(second)
    assert 'data-values="0=91.5"' in behind(row)
    assert behind(Entry("3")) == ""


def test_what_a_mark_says_is_told_once():
    marks = [Mark("match"), Mark("not comparable", "one seed"), Mark("match")]
    text = page.table(table_of(*(Line("l", "", (Entry("1", mark=one),)) for one in marks)))
    assert re.findall(r'data-mark="(\d)"', text) == ["0", "1", "0"]
    assert text.count("the printed value lies inside the interval") == 2  # and in the notes


def test_a_cell_of_three_seeds_takes_few_bytes():
    def size(rows: int) -> int:
        lines = []
        for at in range(rows):
            entries = [
                Entry(
                    "94.63",
                    below="±0.15 (3)",
                    anchor=f"alrs/resnet20/variant-{at}/8-6-4-2/{bits}",
                    detail=Detail(
                        "3 seeds",
                        "[94.25, 95.01]",
                        tuple(
                            Value(
                                f"seed {seed}", "94.63", f"method-resnet20-cifar10-s{seed}-{at:08x}"
                            )
                            for seed in range(3)
                        ),
                    ),
                )
                for bits in (8, 6, 4, 2)
            ]
            lines.append(Line(f"variant {at}", "", tuple(entries)))
        return len(page.table(table_of(*lines)))

    per_cell = (size(1100) - size(100)) / 4000
    assert per_cell < 220, per_cell


def test_the_same_jobs_behind_many_cells_are_named_once():
    runs = [Value("seed 0", "1", f"network-{at:08x}") for at in range(10)]
    cells = product(range(20), runs)
    lines = [
        Line("l", "", (Entry("1", detail=Detail("1 seed", values=(run,))),)) for _, run in cells
    ]
    text = page.table(table_of(*lines))
    assert text.count("network-") == 1
