"""Captioners: they say what a picture shows."""
