"""Quantization: weights, activations and optimizer state in 8 and 4 bits, measured in bytes and in answers."""
