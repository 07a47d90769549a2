"""Graphs of whole numbers and fixed shapes for NPUs."""
