"""Detectors: where things of some names are in a picture."""
