"""Suites: YAML files of networks and experiments, expanded to runs."""
