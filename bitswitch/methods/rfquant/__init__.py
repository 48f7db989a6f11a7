"""rfquant."""
