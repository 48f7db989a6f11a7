"""Vertical Layering: codes that cascade from width to width, and one step for all."""
