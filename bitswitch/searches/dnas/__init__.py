"""dnas."""
