"""Search plugins: a bit-width for every layer within a budget, one file each."""
