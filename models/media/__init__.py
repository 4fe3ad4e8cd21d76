"""Pictures, masks and sound as arrays: how they are read, written and converted."""
