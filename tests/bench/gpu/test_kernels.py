"""Kernels beside float64, on the processor: right ones pass, wrong ones do not."""

import pytest
import torch

from bitswitch.bench.gpu import kernels
from bitswitch.bench.gpu.kernels import CPU, Kernel
from bitswitch.testing.deployment import operands
from bitswitch.testing.subject import Subject

VALUES = torch.linspace(-3, 3, 257)


def problems(checks):
    return [f"{one.name}: {one.problem}" for one in checks if one.problem]


def test_integers_are_right():
    checks = list(kernels.integers(CPU))
    assert len(checks) == 7 * 4 * 2
    assert not problems(checks)


def test_straight_through_functions_are_right():
    found = [
        one for kernel in kernels.functions((8, 8, 3, 3)) for one in kernels.checked(kernel, CPU)
    ]
    assert not problems(found)
    names = " ".join(one.name for one in found)
    for function in ("on_grid", "on_shifted_grid", "on_sliced_grid", "on_interval", "on_tanh_grid"):
        assert function in names
    assert "on_grid double, per-group-4, 2 bit, gradient to scale" in names


def test_quantizers_of_a_method_are_right():
    found = list(kernels.quantizers("double-rounding", CPU))
    assert not problems(found)
    names = {one.name for one in found}
    assert "double-rounding, weight of layer '3' at 2 bit, narrowed" in names
    assert "double-rounding, input of layer '3' at 4 bit, gradient to scale.4" in names


def rounded(slope, off):
    """Return a kernel that rounds, and is off by so much in float32."""

    def make(device, dtype):
        wrong = dtype == torch.float32
        factor = 1 + off * wrong

        def function(x):
            return factor * (x.detach().round() + (slope if wrong else 1) * (x - x.detach()))

        return function, {}

    return Kernel("rounded", VALUES, make)


@pytest.mark.parametrize(
    ("slope", "off", "wrong"),
    [(1, 0.0, []), (1, 1e-3, ["values", "gradient"]), (0, 0.0, ["gradient"])],
)
def test_a_wrong_kernel_is_found(slope, off, wrong):
    found = problems(kernels.checked(rounded(slope, off), CPU))
    assert [one.partition(":")[0] for one in found] == [f"rounded, {name}" for name in wrong]


def test_an_error_is_a_finding():
    def make(device, dtype):
        raise RuntimeError("no kernel image is available")

    (found,) = kernels.checked(Kernel("broken", VALUES, make), CPU)
    assert found.problem == "RuntimeError: no kernel image is available"


def test_nothing_stays_on_the_processor():
    """The meta device refuses operands of another one, as a GPU does."""
    meta = torch.device("meta")
    for kernel in kernels.functions((8, 8, 3, 3)):
        function, _ = kernel.make(meta, torch.float32)
        assert function(kernel.values.to(meta)).shape == kernel.values.shape
    subject = Subject.of("mbquant")
    for one in operands(subject, subject.train_state().model, subject.bitset[-1]):
        function, _ = kernels._of_operand(one.place, one, trains=True).make(meta, torch.float32)
        assert function(one.values.to(meta)).shape == one.values.shape
