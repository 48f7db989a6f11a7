"""MultiQuant: bit-widths learn labels of the network's own making."""
