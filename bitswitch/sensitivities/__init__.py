"""Sensitivity plugins: how much every layer suffers from low bit-widths, one file each."""
