"""The roofline, term by term."""

import pytest

from bitswitch.errors import DeviceError
from bitswitch.planning import devices
from bitswitch.planning.devices import Mode, Work, roofline

H100 = devices.device("h100")
LEFT = devices.known().attainable
CAPTURED = Mode(captured=True)


def test_operations_take_their_share_of_the_peak():
    found = roofline(H100, Work(flops=1e12), "float32", Mode())
    assert found == (1e12 / (H100.flops["float32"] * LEFT.flops), "flop")


def test_bytes_take_their_share_of_the_bandwidth():
    found = roofline(H100, Work(product_bytes=1e9, other_bytes=2e9), "float32", Mode())
    assert found == (3e9 / (H100.bandwidth * LEFT.bandwidth), "bytes")


def test_launches_take_the_host_or_in_a_captured_graph_the_device():
    work = Work(kernels=1000, fused_kernels=100)
    assert roofline(H100, work, "float32", Mode()) == (1000 * LEFT.eager_kernel_s, "launches")
    found = roofline(H100, work, "float32", CAPTURED)
    assert found == (100 * LEFT.captured_kernel_s, "launches")


def test_the_host_launches_what_no_graph_captures():
    work = Work(kernels=1000, fused_kernels=100, host_kernels=30)
    expected = 30 * LEFT.eager_kernel_s + 70 * LEFT.captured_kernel_s
    assert roofline(H100, work, "float32", CAPTURED).time_s == pytest.approx(expected)
    assert roofline(H100, work, "float32", Mode()).time_s == 1000 * LEFT.eager_kernel_s


def test_python_takes_its_time_while_the_device_replays():
    """Not longer than it takes to launch every kernel of an eager pass."""
    work = Work(kernels=1000, fused_kernels=100, host_kernels=30, host_s=3e-3)
    launched = 30 * LEFT.eager_kernel_s
    assert roofline(H100, work, "float32", CAPTURED).time_s == pytest.approx(launched + 3e-3)
    four = roofline(H100, work, "float32", Mode(True, 4)).time_s
    assert four == pytest.approx((launched + 3e-3) / 4)
    assert roofline(H100, work._replace(host_s=1.0), "float32", CAPTURED).time_s == pytest.approx(
        1000 * LEFT.eager_kernel_s
    )
    assert roofline(H100, work, "float32", Mode()).time_s == 1000 * LEFT.eager_kernel_s


def test_hosts_launch_side_by_side_and_the_device_does_one_thing_at_a_time():
    work = Work(kernels=1000)
    two, many = (roofline(H100, work, "float32", Mode(runs=runs)).time_s for runs in (2, 1000))
    assert two == pytest.approx(1000 * LEFT.eager_kernel_s / 2)
    assert many == pytest.approx(1000 * LEFT.captured_kernel_s)


def test_sixteen_bits_multiply_faster_and_move_half():
    operations, moved = Work(flops=1e12), Work(product_bytes=1e9)
    assert roofline(H100, operations, "bfloat16", Mode()).time_s == pytest.approx(
        1e12 / (H100.flops["bfloat16"] * LEFT.flops)
    )
    times = [roofline(H100, moved, name, Mode()).time_s for name in ("float32", "bfloat16")]
    assert times[1] == pytest.approx(times[0] / 2)


@pytest.mark.parametrize("name", devices.known().devices)
def test_no_option_makes_a_device_slower(name):
    on, work = devices.device(name), Work(1e10, 1e8, 5e9, 1000, 6e9, 1200, 400)
    eager = roofline(on, work, "float32", Mode()).time_s
    for precision in ("float32", "tf32", "bfloat16"):
        for mode in (Mode(), CAPTURED, Mode(runs=4), Mode(True, 4)):
            assert roofline(on, work, precision, mode).time_s <= eager
    assert on.source.startswith("https://")


def test_an_unknown_device_is_named_with_the_nearest():
    with pytest.raises(DeviceError, match=r"'h10'\. Did you mean 'h100'\?\n  known: t4, v100"):
        devices.device("h10")


@pytest.mark.parametrize(
    "relative",
    [
        "NVIDIA GH200 480GB",
        "NVIDIA H200 NVL",
        "NVIDIA H100 PCIe",
        "NVIDIA H100 NVL",
        "NVIDIA A100-SXM4-40GB",
        "NVIDIA A100 80GB PCIe",
        "Tesla V100-PCIE-16GB",
        "NVIDIA L40",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
    ],
)
def test_a_relative_of_a_known_device_is_not_taken_for_it(relative):
    assert devices.called(relative) is None
    with pytest.raises(DeviceError, match=f"Nothing is known of a device '{relative}'"):
        devices.device(relative)


def test_a_device_is_known_by_what_its_driver_calls_it():
    products = {
        "Tesla T4": "t4",
        "Tesla V100-SXM2-32GB": "v100",
        "NVIDIA A100-SXM4-80GB": "a100",
        "NVIDIA GeForce RTX 4090": "rtx4090",
        "NVIDIA L4": "l4",
        "NVIDIA L40S": "l40s",
        "NVIDIA H100 80GB HBM3": "h100",
        "NVIDIA H200": "h200",
    }
    assert {name: devices.called(name) for name in products} == products
    assert devices.device("NVIDIA H200") == devices.device("h200")
