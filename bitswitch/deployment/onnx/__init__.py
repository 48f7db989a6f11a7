"""Deployed models as ONNX graphs, and how far onnxruntime agrees with them."""
