"""Breakthrough: from a Mixture-of-Experts layer to a compiled model on an edge box."""

__version__ = "0.1.0"
