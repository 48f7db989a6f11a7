"""Plugins: found by entry points, created with checked options, asked once and remembered."""
