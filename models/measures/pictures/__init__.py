"""Measures of a repainted picture against its original."""
