"""Ours beside published: every number of a paper that a study has too, by name, and what papers say of data alike.

A published number has a counterpart where corpus, degradation, inpainter, captioner, metric and region are called as in
``registry/published``, which are the names of ``studies/inpainting.yaml``. Where the paper does not say whose captions
it scored, each captioner of ours stands beside it. Nothing is guessed: BLEU of an order that is not reported has no
counterpart, and a corpus of the same kind is context, not a comparison.

``joined`` finds counterparts, ``shown`` is what a page says of them.
"""
