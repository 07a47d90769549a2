"""From ONNX graphs to the files of each engine."""
