"""Network architectures (plugins)."""
