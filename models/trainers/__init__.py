"""Trainers: what a study fine-tunes on captions, kind by kind."""
