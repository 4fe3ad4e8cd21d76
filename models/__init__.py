"""Everything frozen: adapters by role, and the measures.

Nothing here knows of stages, the registry or reports. An adapter module is light to import: torch, diffusers and
transformers are imported inside its ``load``, because recalling known items must not pay for them.
"""
