"""CompreCap (Lu et al. 2024): photographs with a graph of their objects, what is to be said of each, and relations."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from registry.store.tables import read_json
from stages.corpora import Problem, Sample, Source, pictures
from stages.corpora.checks import Entry, FileSettings, bad_record, file_samples, of_kind
from stages.engine.shards import storable


class CompreCap:
    """The release's ``anno.json``, as its ``dataset/coco.py`` reads it, and its pictures. Annotations are ``graph``:
    an entry an object, with its ``category``, ``description``, ``relations`` and ``mask`` (base64 of zlib of a byte a
    pixel, as released, of the picture's own size). There are no captions."""

    SOURCE = Source(
        about="CompreCap: 560 photographs with their objects, descriptions of these, masks and directed relations",
        where="https://huggingface.co/datasets/FanLu31/CompreCap (anno.json, images)",
        licence="as its card says; photographs of MS COCO, each with a licence of its own",
        files=("{annotations}", "{images}"),
    )

    VERSION = pictures.VERSION

    class Settings(FileSettings):
        path: Path
        """The folder in which the following lie."""

        annotations: Path = Path("anno.json")
        images: Path = Path("images")
        descriptions: Literal["short", "extended"] = "short"
        """Which descriptions of objects count; the authors' program takes the short ones unless told otherwise."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Sample | Problem]:
        return file_samples(self._entries(), self.settings)

    def _entries(self) -> Iterator[Entry | Problem]:
        path = self.settings.path / self.settings.annotations
        listed = read_json(path, "file of CompreCap")
        if not isinstance(listed, list):
            raise ValueError(f"{path} is no file of CompreCap: expected a list of pictures.")
        for number, record in enumerate(listed, 1):
            try:
                image, info = of_kind(str, record["image"], "image"), of_kind(list, record["info"], "info")
                if not info:
                    raise ValueError("has no objects")
                yield Entry(
                    sample=Path(image).stem,
                    split="all",
                    path=self.settings.path / self.settings.images / image,
                    captions=(),
                    annotations={"graph": _graph(info, self.settings.descriptions)},
                )
            except (KeyError, TypeError, ValueError) as error:
                yield bad_record(f"{path.name}: picture {number}", error)


def _graph(info: list[Any], descriptions: str) -> list[dict[str, Any]]:
    field = "extend_description" if descriptions == "extended" else "short_description"
    graph: list[dict[str, Any]] = [
        {
            "category": storable(of_kind(str, thing["category"], "a category")),
            "description": storable(of_kind(str, thing[field], field)),
            "relations": [storable(of_kind(str, one, "a relation")) for one in _listed(thing["relation"]) if one],
            "mask": of_kind(str, thing["mask_out"], "mask_out"),
        }
        for thing in info
    ]
    if len({_pixels(thing["mask"]) for thing in graph}) > 1:
        raise ValueError("has masks of pictures of different sizes")
    return graph


def _listed(relation: Any) -> list[Any]:
    return [relation] if isinstance(relation, str) else of_kind(list, relation, "relation")


def _pixels(mask: str) -> int:
    """The number of pixels of a mask; raises ValueError where it is none."""
    try:
        return len(zlib.decompress(base64.b64decode(mask, validate=True)))
    except (ValueError, zlib.error) as error:
        raise ValueError(f"has a mask that cannot be decoded ({error})") from error
