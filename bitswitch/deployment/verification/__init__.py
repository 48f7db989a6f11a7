"""Integer models against training: predictions, rounding boundaries, errors of weights."""
