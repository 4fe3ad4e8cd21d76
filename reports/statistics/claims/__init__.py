"""The claims of the inpainting paper: of which kinds of corpora it makes each, and what a study says of it."""
