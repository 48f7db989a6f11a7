import random

import numpy as np
import torch

from bitswitch.training.seeding import seed_step


def draws():
    return torch.rand(1).item(), float(np.random.rand()), random.random()


def test_draws_depend_on_seed_and_step_alone():
    seed_step(1, 5)
    first = draws()
    draws()
    seed_step(1, 5)
    assert draws() == first


def test_other_seeds_and_steps_draw_otherwise():
    seen = set()
    for seed, step in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        seed_step(seed, step)
        seen.update(draws())
    assert len(seen) == 12
