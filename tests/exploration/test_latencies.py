import pytest

from bitswitch.errors import SpecError
from bitswitch.exploration.latencies import read_latencies

HEADER = "layer,weight_bits,activation_bits,latency_ms\n"


def write(tmp_path, text):
    path = tmp_path / "latencies.csv"
    path.write_text(text)
    return path


def test_rows_are_found_by_layer_and_bit_widths(tmp_path):
    path = write(tmp_path, HEADER + "conv1,8,4,0.25\nconv1,4,4,1e-3\n")
    assert read_latencies(path) == {("conv1", 8, 4): 0.25, ("conv1", 4, 4): 0.001}


def test_columns_may_come_in_any_order_with_others_between(tmp_path):
    path = write(tmp_path, "latency_ms,layer,runs,activation_bits,weight_bits\n0.5,conv1,100,4,8\n")
    assert read_latencies(path) == {("conv1", 8, 4): 0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layer,bits,latency_ms\nconv1,8,0.5\n", "weight_bits"),
        (HEADER + "conv1,8,8\n", "TypeError"),
        (HEADER + "conv1,eight,8,0.5\n", "eight"),
        (HEADER + "conv1,8,8,fast\n", "fast"),
        (HEADER + "conv1,8,8,nan\n", "latency_ms is nan"),
        (HEADER + "conv1,8,8,inf\n", "latency_ms is inf"),
        (HEADER + "conv1,8,8,-1\n", "latency_ms is -1"),
        (HEADER + "conv1,8,8,1\nconv1,8,8,2\n", "layer 'conv1' has two latencies at w8a8"),
        (HEADER + "c" * 200_000 + ",8,8,1\n", "field larger than field limit"),
        (HEADER + "conv1," + "8" * 5000 + ",8,1\n", "ValueError"),
    ],
)
def test_what_is_no_table_is_named_with_the_columns_it_needs(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(SpecError, match=message) as error:
        read_latencies(path)
    assert str(path) in str(error.value)
    assert "layer, weight_bits, activation_bits, latency_ms" in str(error.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(SpecError, match="FileNotFoundError"):
        read_latencies(tmp_path / "none.csv")
