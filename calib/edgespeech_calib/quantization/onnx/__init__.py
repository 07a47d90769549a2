"""INT8 for ONNX Runtime."""
