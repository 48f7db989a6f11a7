"""Results that travel: a suite and all its records as one file, joined, and held against itself."""
