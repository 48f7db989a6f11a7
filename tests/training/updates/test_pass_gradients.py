import pytest
import torch
from torch import nn

from bitswitch.errors import Diverged, SpecError
from bitswitch.methods.double_rounding import DoubleRounding
from bitswitch.training.step import train_step
from bitswitch.training.updates.pass_gradients import PassGradients

PLACE = "in step 3"


def kept(*passes):
    """Return what was kept of gradients of two parameters; None: a pass does not reach it."""
    parameters = [nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(()))]
    apart = PassGradients(parameters)
    for numbers in passes:
        for parameter, number in zip(parameters, numbers, strict=True):
            parameter.grad = None if number is None else torch.full_like(parameter, number)
        apart.take()
        assert all(parameter.grad is None for parameter in parameters)
    return apart


def products(apart):
    values, receive = apart.request()
    receive(values.tolist())
    return apart.products(PLACE)


def test_products_are_those_of_all_values():
    assert products(kept((1.0, 2.0), (3.0, None))) == [[6 + 4, 18], [18, 54]]


def test_weighted_gradients_are_put_back():
    apart = kept((1.0, 2.0), (3.0, None), (0.0, 8.0))
    apart.put_back([0.5, 0.25, 0.25])
    matrix, number = (parameter.grad for parameter in apart.parameters)
    assert matrix.unique().item() == 1.25
    assert number.item() == 3.0
    assert apart.kept == []


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_gradients_that_are_not_finite_end_the_run(number):
    with pytest.raises(Diverged, match="gradients of some pass are not finite in step 3"):
        products(kept((1.0, 2.0), (number, 1.0)))


class Weighing(DoubleRounding):
    """Counts the widest bit-width alone."""

    def pass_weights(self, products):
        return [1.0, *[0.0] * (len(products) - 1)]


def test_passes_that_are_weighed_need_one_step(make_learner, tiny_run, batch, step_info):
    train_state = make_learner(tiny_run())
    train_state.method.__class__ = Weighing
    train_state.apart = PassGradients(train_state.scales)
    with pytest.raises(SpecError, match=r"Set training.update to 'conventional'"):
        train_step(train_state, batch, 1e-3, step_info())


def test_a_method_that_weighs_nothing_keeps_no_gradients(make_learner, tiny_run):
    assert make_learner(tiny_run()).apart is None
