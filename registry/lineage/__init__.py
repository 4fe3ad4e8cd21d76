"""Where things in the registry came from, and why two of them differ."""
