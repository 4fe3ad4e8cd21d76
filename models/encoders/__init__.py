"""Encoders: they turn a picture into a vector, and tell where they looked."""
