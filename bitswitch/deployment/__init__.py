"""One stored integer model that switches its bit-width at run time."""
