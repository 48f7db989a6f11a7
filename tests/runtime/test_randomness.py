import random

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitswitch.runtime.randomness import generator, mix, seed_step, seeded

parts = st.lists(st.integers(0, 5) | st.sampled_from("ab"), max_size=4)


@given(parts, parts)
def test_a_seed_depends_on_every_part_and_its_place(left, right):
    assert (mix(*left) == mix(*right)) == (left == right)
    assert 0 <= mix(*left) < 2**63


def test_a_generator_repeats_itself():
    assert torch.equal(torch.rand(3, generator=generator(1)), torch.rand(3, generator=generator(1)))


def test_seeding_leaves_no_trace():
    before = torch.get_rng_state()
    with seeded("here", 1):
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    with seeded("here", 1):
        assert torch.equal(torch.rand(3), first)


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
