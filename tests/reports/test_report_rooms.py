"""The rooms of reports: who may know whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.imports import ROOT, imports

KNOWS = {
    "statistics": {"statistics"},
    "asking": {"asking", "statistics"},
    "site": {"site", "asking", "statistics"},
    "figures": {"figures", "site", "asking", "statistics"},
    "terminal": {"terminal", "site", "asking", "statistics"},
    "chapters": {"chapters", "figures", "site", "asking", "statistics"},
}


@pytest.mark.parametrize("room", KNOWS)
def test_arrows_inside_reports_go_one_way(room: str) -> None:
    for file in (ROOT / "reports" / room).rglob("*.py"):
        for other in imports(file.relative_to(ROOT)):
            inside = other.parts[0] == "reports" and len(other.parts) > 2
            assert not inside or other.parts[1] in KNOWS[room], f"{file.name} imports {other}"
            assert room != "statistics" or other.parts[0] == "reports", f"{file.name} imports {other}"


def test_every_chapter_has_one_module_and_one_template() -> None:
    from reports.report import CHAPTERS

    for chapter in CHAPTERS:
        assert Path(chapter.__file__).with_suffix(".html.j2").is_file()
