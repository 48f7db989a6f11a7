"""Specs: everything that decides the numbers of a run, scores or a search; pure data, hashed."""
