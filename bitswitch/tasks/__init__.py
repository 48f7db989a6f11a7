"""Tasks that come with the package, for datasets to have."""
