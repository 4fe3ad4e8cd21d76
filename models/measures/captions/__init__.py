"""Measures of a caption against its references, against annotations, or against its picture."""
