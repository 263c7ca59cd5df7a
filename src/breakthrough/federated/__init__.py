"""Federated learning: one model trained where the data lies, and what its updates leak."""
