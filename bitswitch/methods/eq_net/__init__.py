"""EQ-Net: one network for every bit-width, symmetry and granularity."""
