"""Peer review in a cohort: who reviews whom, what they see, what came back, and what it says together."""
