"""Datasets (plugins)."""
