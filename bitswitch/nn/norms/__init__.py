"""Batch norms that switch with the bit-widths around them."""
