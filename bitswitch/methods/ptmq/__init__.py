"""ptmq."""
