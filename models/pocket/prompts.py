"""What the pocket family is asked, in the words that it has learnt; studies quote them in place of the papers' prompts.

The fields in braces are those of the methods in :mod:`models.recaptioners`. The pocket reviser is asked with the
original picture first and the painting second (``EDIT``: the original alone), and replies with its analysis in
``<analysis>`` and the new caption in ``<revised caption>``, the tag of RICO's released code. Without an analysis asked
for it gives the caption alone.
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

ASK = "Describe more details about the {name}."
"""A line of the answer to ``QUESTIONS``: ScaleCap's object question (figure 9)."""

QUESTIONS = "Name the objects of this sentence as instructions.\n{sentence}"

DETAIL = "{name}: {answer}"
"""A line of ``descriptions``: what was asked about, and the answer."""

OBJECTS = "Put these descriptions of objects together.\n{descriptions}"
POSITIONS = "Put these positions of objects together.\n{descriptions}"
FINAL = "Write one caption from all of this.\nCaption: {context}\nObjects: {objects}\nPositions: {positions}"
"""``context``: the golden sentences; ``objects``, ``positions``: the answers to the two prompts above, or nothing."""

FUSE = "Make one caption of these two.\nCaption 1: {caption}\nCaption 2: {seen}"
"""Where the two disagree, the first is believed."""

SPLIT = "Split this caption into facts.\n{caption}"
JUDGE = "Answer the question from the caption with yes, no or n/a.\nCaption: {caption}\nQuestion: {question}"
REWRITE = "Say this caption in other words.\n{caption}"
