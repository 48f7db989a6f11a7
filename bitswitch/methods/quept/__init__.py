"""QuEPT: one calibration for all bit-widths, by adapters that narrow ones share and extend."""
