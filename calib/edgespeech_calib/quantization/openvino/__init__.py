"""INT8 for OpenVINO."""
