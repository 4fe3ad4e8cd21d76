"""What the pocket family is asked, in the words that it has learnt; a study quotes them.

The pocket reviser is asked with the original picture first and the painting second (``EDIT``: the original alone), and
replies with its analysis in ``<analysis>`` and the new caption in ``<revised caption>``, the tag of RICO's released
code. Without an analysis asked for it gives the caption alone.
"""

from __future__ import annotations

_PAINTED = "The second image was painted from this caption of the first: {caption}"
_TIPS = "\nCompare objects, colors, shapes, sizes, textures and relations."
_BOTH = "\nGive your analysis and a revised caption."
_ALONE = "\nGive a revised caption."

REVISE = _PAINTED + _TIPS + _BOTH
"""Revision by a painting of the caption (RICO, table 12, in the family's words)."""
REVISE_WITHOUT_TIPS = _PAINTED + _BOTH
"""Without the aspects to compare (RICO, table 6)."""
REVISE_WITHOUT_ANALYSIS = _PAINTED + _TIPS + _ALONE
"""Without an analysis (RICO, table 6)."""
EDIT = "This is a caption of the image: {caption}" + _TIPS + _BOTH
"""Plain edit: revision without a painting (RICO, table 2)."""
EDIT_WITHOUT_ANALYSIS = "This is a caption of the image: {caption}" + _TIPS + _ALONE

ANALYSIS = ("<analysis>", "</analysis>")
REVISED = ("<revised caption>", "</revised caption>")
