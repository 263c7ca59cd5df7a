"""Deployment: a net exported, compiled, measured and served."""
