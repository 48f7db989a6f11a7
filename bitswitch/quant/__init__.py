"""Quantization arithmetic and quantizers."""
