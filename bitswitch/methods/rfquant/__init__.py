"""RFQuant: random bit-widths per layer, and remedies for weights that they pull apart."""
