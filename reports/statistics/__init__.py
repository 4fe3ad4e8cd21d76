"""Statistics that hold: numbers in, numbers out. Nothing here knows the registry, or a picture.

How metrics go together over configurations: ``cells`` reads a table's rows as units × items; ``analysis`` puts together
what the others compute: ``resampling`` and ``significance`` (permutations, bootstrap, p), ``intervals``, ``stability``
(leave one out), ``levels`` and ``crossed`` (between and within units), ``comparison`` (two correlations), ``meta``
(several corpora). ``points`` correlates what has no items. What factors do: ``effects``. What precision and recall of
captions do to what learns from them: ``surfaces``. What the inpainting paper claims: ``findings``.
What became of captions: ``wordings``.
"""
