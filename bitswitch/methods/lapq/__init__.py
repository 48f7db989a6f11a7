"""lapq."""
