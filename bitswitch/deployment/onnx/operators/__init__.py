"""What a network does between its quantized layers, as ONNX operators.

``docs/explanation/onnx.md`` lists what has a translation here.
"""
