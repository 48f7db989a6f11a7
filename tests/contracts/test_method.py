import torch

from bitswitch.contracts.method import Pass, StepInfo


def test_progress_is_the_share_of_steps_taken():
    step_info = StepInfo(epoch=1, epochs=4, step=30, steps=120, generator=torch.Generator())
    assert step_info.progress == 0.25


def test_widths_name_every_operand():
    assert Pass(4).widths() == [4]
    assert Pass(None).widths() == []
    assert Pass(None, {"a": 8, "b": (4, 2)}).widths() == [8, 8, 4, 2]


def test_a_pass_says_its_bit_width():
    assert [str(Pass(4)), str(Pass(None, {"a": 2}))] == ["4 bit", "mixed bits"]
