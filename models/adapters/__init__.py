"""What every adapter is made of: its role, its settings, its checkpoint, and its place in the catalogue."""
