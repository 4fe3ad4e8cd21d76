"""Statistics for a terminal: what ``palimpsest correlate`` and ``palimpsest ablate`` find and print."""
