"""Pins: artifacts that a team agreed to keep, under a name and a version.

A pin is an event. It is written down three times, so that each reader finds it where it looks: in git, as the
artifact's entry in ``dvc.yaml`` and an annotated tag in GTO's form (``captions@v1.0.0``), which is what ``dvc artifacts
get``, GTO and plain git understand; in the registry, which a team shares before anybody pushes a tag; and, where the
artifact is a checkpoint, in MLflow's model registry.
"""
