"""KenLM's binary files, format version 5, read where they lie (K. Heafield 2011, "KenLM: Faster and Smaller Language
Model Queries"): hash tables (probing, rest) and bit-packed tries, plain, quantized, with compressed pointers.
"""
