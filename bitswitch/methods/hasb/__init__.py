"""hasb."""
