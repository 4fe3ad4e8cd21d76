"""Painters: pictures of texts."""
