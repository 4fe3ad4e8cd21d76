"""What each factor of a study does, and what factors do only together.

``effects`` holds the statistics, ``sources`` reads a table or the registry, ``study`` asks them of an indexed study for
the report, ``forest`` lays out what its page draws, ``text`` is for a terminal.
"""
