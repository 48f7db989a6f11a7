"""coquant."""
