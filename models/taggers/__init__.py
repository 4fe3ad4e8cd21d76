"""Taggers: parts of speech of the words of a text."""
