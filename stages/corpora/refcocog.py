"""RefCOCOg (Mao et al. 2016, Yu et al. 2016): expressions that each single out one object of a COCO photograph."""

from __future__ import annotations

import io
import pickle
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from stages.corpora import Problem, Sample, Source, pictures
from stages.corpora.checks import Entry, FileSettings, bad_record, examined, file_samples, identified, of_kind
from stages.corpora.coco import annotated_object, declared_size, official_file

BROKEN = (
    pickle.UnpicklingError, AttributeError, EOFError, IndexError, KeyError, MemoryError, OverflowError, TypeError,
    ValueError,
)  # fmt: skip
"""What an unpickler raises on bytes that are no pickle, or one that asks for more than plain values."""


class RefCocoG:
    """The UMD split as the ``refer`` API has it, in which no photograph is in two splits: a sample is one *ref*.

    The references are all sentences of the ref. Its object comes first in ``objects``, and ``target`` says so; the
    other annotated objects of the photograph follow, as the file has them. Each keeps the ``id`` of its COCO
    annotation. The file name in a ref is not that of a photograph; the one in ``instances.json`` is.
    """

    SOURCE = Source(
        about="RefCOCOg: 49,822 objects of COCO photographs, each with expressions that single it out (UMD split)",
        where="https://github.com/lichengunc/refer (refcocog.zip); photographs: train2014.zip of"
        " https://cocodataset.org/#download",
        licence="expressions CC BY 4.0, refer Apache-2.0; photographs under Flickr's terms of use",
        files=("refs(umd).p", "instances.json", "{images}"),
    )

    VERSION = pictures.VERSION

    class Settings(FileSettings):
        path: Path
        """The folder with ``refs(umd).p`` and ``instances.json``."""

        UNWATCHED: ClassVar[tuple[str, ...]] = ("images",)

        images: Path = Path("../images/mscoco/images/train2014")
        """COCO's train2014, from that folder; the default is where ``refer`` keeps it. These never change, and are not
        watched for changes where they lie elsewhere."""

        splits: tuple[Literal["train", "val", "test"], ...] | None = None

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Sample | Problem]:
        return file_samples(self._entries(), self.settings, _examined)

    def _entries(self) -> Iterator[Entry | Problem]:
        listed = official_file(self.settings.path / "instances.json", ("images", "annotations", "categories"))
        labels = {category.get("id"): category.get("name") for category in listed["categories"]}
        photographs = {image.get("id"): image for image in listed["images"]}
        things: dict[Any, dict[Any, dict[str, Any]]] = defaultdict(dict)
        for number, thing in enumerate(listed["annotations"], 1):
            try:
                labelled = annotated_object(thing, labels[thing["category_id"]])
                things[thing["image_id"]][thing["id"]] = {**labelled, "id": thing["id"]}
            except (KeyError, TypeError) as error:
                yield bad_record(f"instances.json: annotation {number}", error)
        for number, ref in enumerate(read_plain_pickle(self.settings.path / "refs(umd).p"), 1):
            try:
                photograph, around = photographs.get(ref["image_id"]), dict(things.get(ref["image_id"], {}))
                target = around.pop(ref["ann_id"], None)
                if photograph is None or target is None:
                    raise ValueError("is about an object or a photograph that instances.json does not have")
                yield Entry(
                    sample=identified(ref["ref_id"], "ref_id"),
                    split=str(ref["split"]),
                    path=self.settings.path / self.settings.images / of_kind(str, photograph["file_name"], "file_name"),
                    captions=[sentence["sent"] for sentence in ref["sentences"]],
                    objects=[target, *around.values()],
                    size=declared_size(photograph),
                )
            except (KeyError, TypeError, ValueError) as error:
                yield bad_record(f"refs(umd).p: ref {number}", error)


def _examined(entry: Entry, max_side: int | None) -> Iterator[Sample | Problem]:
    """Examine an entry; a sample that is left without the object it is about becomes a problem."""
    for each in examined(entry, max_side):
        if isinstance(each, Problem):
            yield each
            continue
        first = next(iter(each.annotations.get("objects", ())), None)
        if first is not None and first["id"] == entry.objects[0]["id"]:
            yield replace(each, annotations={**each.annotations, "target": 0})
        else:
            message = f"The box that ref {each.sample} is about cannot be used; the ref is left out."
            yield Problem(each.sample, "bad_record", message)


class _Plain(pickle.Unpickler):
    """Makes lists, tuples, dicts, sets, numbers and text, and calls nothing: whatever needs a name is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only plain values are read")


def read_plain_pickle(path: Path) -> list[Any]:
    """The list in a pickle, Python 2's or 3's, that holds nothing but plain values.

    Raises FileNotFoundError, and ValueError for anything else: no code of a pickle is ever run.
    """
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"There is no file of refs at {path}. Correct the path in the study.") from error
    try:
        # Python 2 wrote its strings as bytes.
        refs = _Plain(io.BytesIO(data), encoding="utf-8", errors="replace").load()
    except BROKEN as error:
        raise ValueError(f"{path} is no pickle of plain values ({error}). Download it again.") from error
    if not isinstance(refs, list):
        raise ValueError(f"{path} holds no list of refs but a {type(refs).__name__}. Download it again.")
    return refs
