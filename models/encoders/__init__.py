"""Encoders: vectors of pictures, with attention to patches."""
