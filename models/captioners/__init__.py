"""Captioners of pictures."""
