"""What is counted, against counts by hand on a network of two layers."""

import pytest
import torch
from torch import nn

from bitswitch.planning.devices import Work
from bitswitch.planning.traffic import EXAMPLES, MOST_READ, Traffic

INPUTS, WIDTH, OUTPUTS = 8, 16, 4
FIRST, SECOND = INPUTS * WIDTH, WIDTH * OUTPUTS
X, HIDDEN, Y = (EXAMPLES * size for size in (INPUTS, WIDTH, OUTPUTS))
FLOAT = 4
"""Bytes."""


@pytest.fixture(params=["cpu", "meta"])
def counted(request):
    """A forward and a backward pass."""
    with torch.device(request.param):
        net = nn.Sequential(
            nn.Linear(INPUTS, WIDTH, bias=False), nn.ReLU(), nn.Linear(WIDTH, OUTPUTS, bias=False)
        )
        inputs, gradient = torch.ones(EXAMPLES, INPUTS), torch.ones(EXAMPLES, OUTPUTS)
    with Traffic() as traffic:
        net(inputs).backward(gradient)
    return traffic


def test_operations_are_a_multiplication_and_an_addition_each(counted):
    forward = 2 * EXAMPLES * (FIRST + SECOND)
    backward = 2 * EXAMPLES * (FIRST + 2 * SECOND)  # nobody asks for the gradient of the inputs
    assert counted.rest.flops == forward + backward


def test_products_read_both_operands_and_write_one_result(counted):
    values = (X + HIDDEN) + (HIDDEN + Y) + (Y + HIDDEN) + (Y + HIDDEN) + (HIDDEN + X)
    assert counted.examples.product_bytes == FLOAT * values
    assert counted.rest.product_bytes == FLOAT * (FIRST + SECOND + SECOND + SECOND + FIRST)


def test_all_else_reads_and_writes_values(counted):
    """ReLU: one in, one out; its gradient: two in, one out. Each is read by a product."""
    assert counted.examples.other_bytes == FLOAT * 5 * HIDDEN
    assert counted.examples.fused_bytes == FLOAT * 5 * HIDDEN
    assert counted.rest.other_bytes == counted.rest.fused_bytes == 0


def test_every_operation_but_views_is_a_kernel(counted):
    assert counted.rest.kernels == counted.rest.fused_kernels == 5 + 2


def work_of(function):
    values, weight = torch.ones(EXAMPLES, WIDTH), torch.ones(WIDTH, WIDTH)
    with Traffic() as traffic:
        function(values, weight)
    examples, rest = traffic.examples, traffic.rest
    total = examples + rest
    return total.other_bytes / FLOAT, total.fused_bytes / FLOAT, rest.kernels, rest.fused_kernels


def test_elementwise_operations_are_one_kernel_that_writes_what_a_product_reads():
    found = work_of(lambda values, weight: (values * 2 + 1).relu_() @ weight)
    assert found == (6 * HIDDEN, 2 * HIDDEN, 4, 2)


def test_a_sum_reads_what_its_operand_is_made_from():
    found = work_of(lambda values, weight: (values * 2).sum())
    assert found == (3 * HIDDEN + 1, HIDDEN + 1, 2, 1)


def test_what_is_there_already_is_written_in_place_at_once():
    found = work_of(lambda values, weight: values.mul_(2).add_(1))
    assert found == (4 * HIDDEN, 4 * HIDDEN, 2, 2)


def test_gradients_that_add_up_stay_outside_of_graphs():
    weight = torch.ones(WIDTH, WIDTH, requires_grad=True)
    with Traffic() as traffic:
        for _ in range(3):
            (torch.ones(EXAMPLES, WIDTH) @ weight).sum().backward()
    assert traffic.rest.host_kernels == 2


def test_what_is_made_from_many_is_written_before_it_is_read():
    def add_up(values, weight):
        others = [torch.empty_like(values) for _ in range(MOST_READ)]
        total = values
        for other in others:
            total = total + other
        return total

    fused = work_of(add_up)[1::2]
    assert fused == ((MOST_READ + 2) * HIDDEN, 1)


def test_batch_norm_reads_its_inputs_twice():
    norm = nn.BatchNorm1d(WIDTH)
    eager, fused = work_of(lambda values, weight: norm(values) @ weight)[:2]
    assert eager == pytest.approx(3 * HIDDEN, abs=12 * WIDTH)  # statistics, weights and biases
    assert fused == pytest.approx(3 * HIDDEN, abs=12 * WIDTH)


def test_works_add_up():
    one = Work(1, 2, 3, 4, 5, 6, 7)
    assert one + one == one.times(2) == Work(2, 4, 6, 8, 10, 12, 14)
