"""A small registry with its whole lineage, filled through the item store and the index, as a study fills it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from registry.indexing import Index
from registry.store.database import connect
from registry.store.items import Execution, Finding, ItemStore
from registry.store.keys import digest, item_key
from registry.store.objects import ObjectStore
from registry.store.schema import PER_ITEM
from tests.databases import KINDS, Databases

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DEGRADATIONS = {"black": {"kind": "zero"}, "blur": {"kind": "blur"}}
INPAINTERS = {"telea": {"adapter": "telea", "radius": 3}, "as-is": {"adapter": "identity"}}
CAPTIONERS = {"blip": {"adapter": "blip", "beams": 3}}
SETTINGS = {"degradation": DEGRADATIONS, "inpainter": INPAINTERS, "captioner": CAPTIONERS}
SAMPLES = ("s0", "s1")
CHECKPOINT = "sha256:" + "0f" * 32


class Lineage:
    """Two samples of one corpus. ``telea`` does not see what degradation left; ``as-is`` leaves the degraded bytes;
    the captioner says one and the same of all repainted pictures of a sample, so these share their scores."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.engine = connect(url)
        self.store = ItemStore(self.engine, ObjectStore(str(folder / "objects")))
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.keys: dict[tuple[str, ...], str] = {}
        self.values: list[tuple[str, str, str, int, float | None]] = []
        for sample in SAMPLES:
            self.sample(sample)
        with self.engine.begin() as connection:
            index = Index(connection, SETTINGS)
            of = {"split": "test", "width": 8, "height": 8, "annotations": {}}
            samples = [{"sample": s, **of, "references": [f"a cat of {s}", "a cat"]} for s in SAMPLES]
            index.corpus("scenes", {"adapter": "scenes"}, {}, samples)
            for kind, rows in self.rows.items():
                index.place(kind, rows)
            index.measure(self.values)
            index.summarise({"corpus": "scenes", "captioner": "blip"}, {"cider": 0.75}, 2)
            index.study("toy", {})

    def item(
        self, kind: str, stage: str, place: tuple[str, ...], parts: dict[str, Any], *parents: str, **found: Any
    ) -> str:
        """One item at a place: its sample, then its axes, "" for one that does not apply."""
        key = item_key(kind, parts)
        run = digest(stage.encode())[:32]
        self.store.open_run(Execution(run, stage, "c0ffee" * 6 + "beef", "cpu", "local", BEGAN))
        self.store.remember(run, [Finding(key, kind, parts, parents, **found)])
        sample, *axes = place
        named = {axis: name for axis, name in zip(SETTINGS, axes, strict=False) if name}
        self.rows.setdefault(kind, []).append(
            {"corpus": "scenes", "sample": sample, **named, "key": key, "parents": list(parents)}
        )
        self.keys[kind, *place] = key
        return key

    def sample(self, s: str) -> None:
        picture = f"{s} as it was".encode()
        original = self.item(
            "original", "prepare@scenes", (s,), {"source": {"world": "scenes", "index": s}}, data=picture
        )
        self.caption((s, "", "", "blip"), picture, original, f"a cat in {s}", 0.5)
        for d, how in DEGRADATIONS.items():
            spoiled = f"{s} {d}".encode()
            parts = {"picture": digest(picture), "mask": digest(b"mask"), "degradation": how}
            degraded = self.item("degraded", "degrade", (s, d), parts, original, data=spoiled, value={"mask": "..."})
            for i, model in INPAINTERS.items():
                seen, painted = (spoiled, spoiled) if i == "as-is" else (picture, f"{s} {i}".encode())
                parts = {"picture": digest(seen), "mask": digest(b"mask"), "prompt": "a cat", "model": model}
                repainted = self.item("repainted", f"inpaint@{i}", (s, d, i), parts, degraded, data=painted)
                parts = {"original": digest(picture), "repainted": digest(painted), "measure": {"adapter": "pixel"}}
                pixel = self.item("fidelity.pixel", "fidelity@pixel", (s, d, i), parts, repainted, value={})
                level = 0.25 if i == "telea" else 0.5
                self.values += [(pixel, "mse", "region", PER_ITEM, level), (pixel, "mse", "whole", PER_ITEM, level / 2)]
                self.values += [(pixel, "tvd", "whole", layer, layer / 4) for layer in range(2)]
                self.caption((s, d, i, "blip"), painted, repainted, f"a dog in {s}", 0.25)

    def caption(self, place: tuple[str, ...], picture: bytes, parent: str, text: str, level: float) -> None:
        model = {"adapter": "blip", "checkpoint": CHECKPOINT}
        parts = {"picture": digest(picture), "prompt": "What is it?", "model": model}
        caption = self.item("caption", "caption@blip", place, parts, parent, value={"caption": text})
        parts = {"caption": text, "references": digest(place[0].encode()), "measure": {"adapter": "lexical"}}
        score = self.item("quality.lexical", "quality@lexical", place, parts, caption, value={"cider": level})
        self.values.append((score, "cider", "", PER_ITEM, level))


@pytest.fixture(scope="session", params=KINDS)
def lineage(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lineage]:
    if request.param == "postgresql":
        pytest.importorskip("psycopg", reason="PostgreSQL needs the extra `postgres`")
    made = Lineage(databases.new(request.param, migrated=True), tmp_path_factory.mktemp("lineage"))
    yield made
    made.engine.dispose()


@pytest.fixture
def lineage_again(registry_url: str, tmp_path: Path) -> Iterator[Lineage]:
    """The same in another registry, to write into."""
    made = Lineage(registry_url, tmp_path)
    yield made
    made.engine.dispose()
