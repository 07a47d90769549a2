"""Calibration data, INT8 quantization and word error rates."""
