"""KURE and gradient L1 regularization, quantized after training by LAPQ."""
