"""Inpainters: they repaint the masked part of a picture."""
