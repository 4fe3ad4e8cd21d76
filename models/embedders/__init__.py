"""Embedders: vectors of sentences."""
