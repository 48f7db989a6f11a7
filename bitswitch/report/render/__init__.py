"""Tables as LaTeX and HTML; what a page holds."""
