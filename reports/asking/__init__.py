"""The questions to the registry, each asked once."""
