import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.contracts.sensitivity import Score
from bitswitch.errors import RecordError
from bitswitch.results.result import write_result
from bitswitch.results.scores import NAME, read_scores, write_scores
from bitswitch.spec.run import SensitivitySpec

ROWS = [
    Score("layer1.0.conv1", "layer", None, 0.1 + 0.2, 1e-300),
    Score("layer1.0.conv1", "weight", 8, -3.0),
    Score("fc, last", "activation", 2, 1e8, 0.5),
]


def finish(folder, rows):
    write_scores(folder, rows)
    write_result(folder, {}, [NAME])


@pytest.fixture
def spec(tiny_run):
    return SensitivitySpec(sensitivity="uniform", run=tiny_run(), epoch=0, bitset=(8, 4))


def test_scores_come_back_to_the_last_digit(tmp_path, spec):
    finish(tmp_path, ROWS)
    scores = read_scores(tmp_path, spec)
    assert scores.rows == tuple(ROWS)
    assert scores.title == "uniform"


@given(
    st.lists(
        st.builds(
            Score,
            layer=st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1),
            operand=st.sampled_from(["layer", "weight", "activation"]),
            bits=st.none() | st.integers(2, 8),
            value=st.floats(allow_nan=False, allow_infinity=False),
            standard_error=st.floats(0, 1e9),
        )
    )
)
def test_any_scores_come_back(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("scores")
    finish(folder, rows)
    assert read_scores(folder, SPEC).rows == tuple(rows)


SPEC = SensitivitySpec.model_construct(sensitivity=type("Named", (), {"name": "any"}))


def test_a_file_is_the_same_every_time(tmp_path):
    write_scores(tmp_path, ROWS)
    content = (tmp_path / NAME).read_bytes()
    write_scores(tmp_path, ROWS)
    assert (tmp_path / NAME).read_bytes() == content
    assert content.splitlines()[0] == b"layer,operand,bits,value,standard_error"


def test_scores_that_are_not_there_say_how_to_make_them(tmp_path, spec):
    with pytest.raises(RecordError, match=f"bitswitch score SUITE {spec.identifier}"):
        read_scores(tmp_path, spec)


DAMAGE = {
    "digit": lambda lines: [lines[0].replace(b"3", b"4"), *lines[1:]],
    "lost": lambda lines: lines[1:],
    "doubled": lambda lines: [lines[0], *lines],
    "order": lambda lines: lines[::-1],
    "ends": lambda lines: [line.replace(b"\n", b"\r\n") for line in lines],
    "NUL": lambda lines: [*lines, b"\0"],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_scores_that_are_not_as_they_were_written_are_refused(tmp_path, spec, damage):
    finish(tmp_path, ROWS)
    path = tmp_path / NAME
    head, *lines = path.read_bytes().splitlines(keepends=True)
    lines.sort(key=lambda line: b"3" not in line)
    path.write_bytes(head + b"".join(DAMAGE[damage](lines)))
    with pytest.raises(RecordError, match=rf"{NAME} is not as it was written(.*\n)*.*run again"):
        read_scores(tmp_path, spec)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"layer,operand", b"name,operand"),
        (b"weight,8", b"weights,8"),
        (b"weight,8", b"weight,eight"),
        (b"-3.0", b"minus three"),
        (b"-3.0,0.0", b"-3.0"),
        (b"fc", b"\xff\xfe"),
        (b"fc", b"f" * 200_000),
        (b"weight,8", b"weight," + b"8" * 5000),
    ],
)
def test_what_holds_no_scores_is_an_error(tmp_path, spec, before, after):
    write_scores(tmp_path, ROWS)
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes().replace(before, after))
    write_result(tmp_path, {}, [NAME])
    with pytest.raises(RecordError, match="holds no scores") as error:
        read_scores(tmp_path, spec)
    assert "run again" in str(error.value)
