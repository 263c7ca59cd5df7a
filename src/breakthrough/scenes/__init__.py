"""Synthetic data: labelled pictures of parts on a tray, from physics and two renderers."""
