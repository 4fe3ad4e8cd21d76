"""Prompts that the pocket language model understands, one for each thing that recaptioning asks of a language model.

A study gives them to its methods in place of the papers' own, which take a large model to understand. Lists have one
entry a line; where there is nothing to fill in, the field is empty.

>>> NAME.format(sentence="a red ring on a sky background")
'Name the objects of this sentence as instructions.\\na red ring on a sky background'
"""

from __future__ import annotations

ASK = "Describe more details about the {name}."
"""A line of the answer to ``NAME``: ScaleCap's object question (figure 9)."""

NAME = "Name the objects of this sentence as instructions.\n{sentence}"

DETAIL = "{name}: {answer}"
"""A line of ``details``: what was asked about, and the answer."""

OBJECTS = "Put these descriptions of objects together.\n{details}"
POSITIONS = "Put these positions of objects together.\n{details}"
CAPTION = "Write one caption from all of this.\nCaption: {caption}\nObjects: {objects}\nPositions: {positions}"
"""``caption``: the golden sentences; ``objects``, ``positions``: the answers to the two prompts above."""

FUSE = "Make one caption of these two.\nCaption 1: {first}\nCaption 2: {second}"
"""Where the two disagree, the first is believed."""

SPLIT = "Split this caption into facts.\n{caption}"
JUDGE = "Answer the question from the caption with yes, no or n/a.\nCaption: {caption}\nQuestion: {question}"
REWRITE = "Say this caption in other words.\n{caption}"
