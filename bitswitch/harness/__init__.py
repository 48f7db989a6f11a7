"""Decoders in the hands of lm-eval, the harness that language models are compared with."""
