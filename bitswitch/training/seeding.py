"""Global random numbers, for modules and methods that draw from them, such as dropout.

They are seeded anew before every step, from the run's seed and the step alone. So there is no
generator state to save, and a resumed run draws what it would have drawn. Data order,
augmentation and initial weights have generators of their own.
"""

import random

import numpy as np
import torch

from bitswitch.randomness import mix


def seed_step(seed: int, step: int) -> None:
    """Seed the global generators of torch (on all devices), numpy and Python for one step."""
    value = mix("step", seed, step)
    torch.manual_seed(value)
    np.random.seed(value % 2**32)
    random.seed(value)
