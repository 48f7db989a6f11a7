"""multiquant."""
