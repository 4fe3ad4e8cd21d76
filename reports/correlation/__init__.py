"""How metrics go together over configurations, with statistics that hold.

``cells`` reads a table, ``study`` reads the registry; ``analysis`` puts together what the others compute:
``resampling`` and ``significance`` (permutations, bootstrap, p), ``stability`` (leave one out), ``levels`` and
``crossed`` (between and within units), ``comparison`` (two correlations), ``meta`` (several corpora); ``text``.
"""
