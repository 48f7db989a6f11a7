"""Searches that solve an integer program: the least sum of scores within a budget."""
