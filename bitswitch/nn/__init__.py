"""Bit-switchable networks."""
