"""Adaptive bit switching: one network, one stored integer model, many bit-widths."""
