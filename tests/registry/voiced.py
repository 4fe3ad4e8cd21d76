"""The toy study of the reports, told by voices too: indexed, reported and logged in a checkout that has that axis.

    python -m tests.registry.voiced     in the checkout, whose modules come first in the path

Prints as JSON what the registry's Python door sees of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from registry import open_registry
from registry.store import places
from reports.report import build
from stages.index.cells import log_cells
from tests.reports import conftest
from tests.reports.conftest import PARAMS, Row, Toy, filled

VOICES: dict[str, dict[str, Any]] = {"loud": {"volume": 11}, "soft": {"volume": 1}}


class Voiced(Toy):
    """Each caption is also said by every voice, a little worse."""

    def score(self, where: Row, seen: str, caption: str, level: float) -> None:
        super().score(where, seen, caption, level)
        for number, voice in enumerate(VOICES, 1):
            super().score({**where, "voice": voice}, seen, f"{caption}, {voice}", level - 0.05 * number)


if __name__ == "__main__":
    conftest.Toy = Voiced  # type: ignore[misc]
    PARAMS["voices"] = VOICES
    toy = filled(places.home())
    build(toy.engine, toy.objects, "toy", Path("report"))
    log_cells(SimpleNamespace(study="toy", model_dump=lambda: PARAMS), toy.store)  # type: ignore[arg-type]
    with open_registry() as registry:
        captions = registry.captions("toy", captioner="blip")
    counts = captions.fillna("").groupby("voice").size().to_dict()
    print(json.dumps({"columns": list(captions), "captions": counts}))
