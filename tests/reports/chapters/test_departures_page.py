"""The report's page "Where we differ" shows every entry of the list."""

from __future__ import annotations

from html import unescape
from types import SimpleNamespace

import pandas as pd

from registry.published.departures import departures
from reports.chapters import departures as chapter
from reports.site.pages import render


def test_every_departure_is_on_the_page():
    pages = chapter.pages(SimpleNamespace(repainted=pd.DataFrame({"inpainter": ["telea"]})))
    assert chapter.pages(SimpleNamespace(repainted=pd.DataFrame())) == [], "a study without repainted pictures"
    [text] = render("toy", pages).values()
    shown = unescape(text)
    every = [one for some in departures().values() for one in some]
    assert all(words in shown for one in every for words in (one.paper, one.ours, one.why))
    assert shown.count(">blank<") == sum(one.blank for one in every)
    for subject in departures():
        anchor = subject.lower().replace(" ", "-")
        assert f'href="#{anchor}"' in text and f'id="{anchor}"' in text
