"""Federated learning: one model from several factories whose pictures stay where they are."""
