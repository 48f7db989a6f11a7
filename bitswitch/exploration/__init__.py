"""Scoring the layers of a trained network, and searching it for policies."""
