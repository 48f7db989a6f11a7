"""Kinds of tables: what their rows and columns say."""
