"""PTMQ: post-training quantization, rounding learned block by block."""
