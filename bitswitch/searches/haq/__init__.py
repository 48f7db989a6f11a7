"""HAQ: bit-widths found by reinforcement learning."""
