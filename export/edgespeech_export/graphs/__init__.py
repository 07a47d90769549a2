"""The graphs of each task as torch modules, and their ONNX form."""
