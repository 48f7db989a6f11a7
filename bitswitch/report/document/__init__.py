"""Reports of a suite as HTML and PDF, and errata of the printed numbers."""
