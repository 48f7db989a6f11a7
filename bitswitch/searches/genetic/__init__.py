"""Evolutionary search: policies that are mutated, crossed and ranked."""
