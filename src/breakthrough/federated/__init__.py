"""Federated learning: factories that train one model without moving their data."""
