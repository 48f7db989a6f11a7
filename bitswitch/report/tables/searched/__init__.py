"""Tables about sub-nets that searches found."""
