"""Deployment: a net exported, compiled by TVM, run without Python's help, served."""
