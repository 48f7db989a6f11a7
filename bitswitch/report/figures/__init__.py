"""Kinds of figures, and how all of them look."""
