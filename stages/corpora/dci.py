"""Densely Captioned Images (Urbanek et al. 2023): photographs of SA-1B described at length, part by part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from registry.store.tables import read_json
from stages.corpora import Problem, Sample, Source, pictures
from stages.corpora.checks import Entry, FileSettings, bad_record, examined, file_samples, of_kind
from stages.engine.shards import storable

UNUSABLE = 2
"""The quality of a mask that was described by nobody; 0 is described, 1 only labelled."""

CROP = 224
"""Pixels of each side of a mask that has a summary of its own, at least."""


class Dci:
    """The release's folder ``densely_captioned_images``: one JSON file a photograph, ``splits.json`` and ``photos``.

    The photographs of ``splits.json`` are taken, or, without that file, all that are annotated, as split "all". An
    object is a mask that is not unusable: its ``label``, the ``box`` around it, and its ``caption`` where it has one.
    """

    SOURCE = Source(
        about="Densely Captioned Images: 7,805 photographs with a caption, a long description and captioned parts",
        where="https://github.com/facebookresearch/DCI (dci.tar.gz); photographs: sa_000138.tar of"
        " https://ai.meta.com/datasets/segment-anything-downloads",
        licence="annotations CC BY-NC 4.0; photographs under the SA-1B Dataset Research License",
        files=("{annotations}", "{photos}"),
    )

    VERSION = pictures.VERSION

    class Settings(FileSettings):
        path: Path
        """The folder in which the following lie."""

        annotations: Path = Path("annotations")
        """The folder with the JSON files; ``complete`` holds those that have summaries too."""

        photos: Path = Path("photos")
        """The folder with the photographs."""

        references: Literal["short", "extended", "summaries"] = "short"
        """``short``: the one caption of the whole photograph, as other corpora have it. ``extended``: that and the long
        description that follows it, as one reference. ``summaries``: those that a language model made of all
        descriptions, several of up to 77 tokens, which only files in ``complete`` have."""

        parts: bool = False
        """Whether the annotations hold the ``parts`` of photographs, the whole first and then the masks of at least
        224 x 224 pixels from the largest to the smallest: the first summary of each as ``text``, its ``negatives`` by
        kind (basic, layout, swaps), and CLIP's ``scores`` of these. Only files in ``complete`` have them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Sample | Problem]:
        return file_samples(self._listed(), self.settings, self._examined)

    def _listed(self) -> Iterator[Entry]:
        """Every file with its split; what is in it is read once it is its turn."""
        folder = self.settings.path / self.settings.annotations
        if not folder.is_dir():
            raise FileNotFoundError(f"There is no folder {folder}. Correct the corpus's path in the study.")
        splits = {"all": sorted(path.name for path in folder.glob("*.json"))}
        table = self.settings.path / "splits.json"
        if table.exists():
            splits = read_json(table, "list of splits")
            if not isinstance(splits, dict) or not all(map(_are_names, splits.values())):
                raise ValueError(f"{table} is no list of splits: expected names of files under train, valid and test.")
        for split, names in splits.items():
            for name in names:
                stem = name.removesuffix(".json")
                yield Entry(sample=stem, split=split, path=folder / f"{stem}.json", captions=())

    def _examined(self, entry: Entry, max_side: int | None) -> Iterator[Sample | Problem]:
        try:
            record = read_json(entry.path, "annotation")
            whole = replace(
                entry,
                path=self.settings.path / self.settings.photos / of_kind(str, record["image"], "image"),
                captions=self._references(record),
                objects=list(_objects(record["mask_data"].values())),
                annotations={"parts": list(_parts(record))} if self.settings.parts else {},
            )
        except FileNotFoundError:
            yield Problem(storable(entry.sample), "no_caption", storable(f"{entry.sample} has no annotation file."))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            yield bad_record(f"{entry.sample}.json", error)
        else:
            yield from examined(whole, max_side)

    def _references(self, record: dict[str, Any]) -> list[Any]:
        if self.settings.references == "summaries":
            return _summaries(record, "base")
        if self.settings.references == "extended":
            return [f"{record['short_caption']}\n{record['extra_caption']}".strip()]
        return [record["short_caption"]]


def _summaries(record: dict[str, Any], key: str) -> list[Any]:
    return _listed((record.get("summaries") or {}).get(key, []))


def _listed(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]


def _parts(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the summaries say of the whole and of its masks, with their negatives, by falling area."""
    masks = sorted(record["mask_data"].values(), key=lambda mask: -mask["area"])
    large = (mask for mask in masks if mask["mask_quality"] != UNUSABLE and _is_large(bounding_box(mask.get("bounds"))))
    for key in ("base", *(f"m-{mask['idx']}-sc" for mask in large)):
        told = [storable(text).strip() for text in _summaries(record, key) if isinstance(text, str)]
        if not told or not told[0]:
            if key == "base":
                raise ValueError("has no summary of the whole: take the folder `complete` for `annotations`")
            continue
        negatives = {
            kind: [storable(of_kind(str, text, "a negative")).strip() for text in _listed(texts)]
            for kind, texts in (record.get("negatives") or {}).get(key, {}).items()
        }
        scores = (record.get("clip_scores") or {}).get(key, {})
        yield {"text": told[0], "negatives": negatives, "scores": {name: float(one) for name, one in scores.items()}}


def _is_large(box: Any) -> bool:
    return isinstance(box, list) and min(box[2:]) >= CROP


def _are_names(names: Any) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def _objects(masks: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for mask in masks:
        if mask["mask_quality"] == UNUSABLE:
            continue
        caption = {"caption": storable(str(mask["caption"]))} if mask.get("caption") else {}
        yield {"label": storable(str(mask.get("label") or "")), "box": bounding_box(mask.get("bounds")), **caption}


def bounding_box(bounds: Any) -> Any:
    """[x, y, width, height] of bounds as the files have them or as the README shows them; others as they are.

    >>> bounding_box({"topLeft": {"x": 1, "y": 2}, "bottomRight": {"x": 11, "y": 22}})
    [1, 2, 10, 20]
    >>> bounding_box([[1, 2], [11, 22]])
    [1, 2, 10, 20]
    """
    try:
        if isinstance(bounds, dict):
            bounds = [[bounds[corner][axis] for axis in ("x", "y")] for corner in ("topLeft", "bottomRight")]
        (left, top), (right, bottom) = bounds
        return [left, top, right - left, bottom - top]
    except (KeyError, TypeError, ValueError):
        return bounds
