"""DNAS: a mixture of bit-widths, whose gates are learned by gradient."""
