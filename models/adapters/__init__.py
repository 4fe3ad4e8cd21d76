"""Parts of every adapter: its role, its settings, its checkpoint, and its place in the catalogue."""
