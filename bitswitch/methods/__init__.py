"""Multi-precision methods (plugins)."""
