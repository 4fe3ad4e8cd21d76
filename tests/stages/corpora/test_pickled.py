"""What reads or draws a picture goes into another process: the ``picture`` of a sample of every corpus is pickled."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from stages.corpora import CATALOGUE, Sample, open_corpus
from tests.stages.corpora.folders import paint
from tests.stages.corpora.test_dci import release as dci  # noqa: F401
from tests.stages.corpora.test_flickr30k_entities import release as flickr30k_entities  # noqa: F401
from tests.stages.corpora.test_gtzan import SMALL, clips
from tests.stages.corpora.test_indiana import release as indiana  # noqa: F401
from tests.stages.corpora.test_judged_corpora import (
    amber,  # noqa: F401
    capsbench,  # noqa: F401
    comprecap,  # noqa: F401
    detailcaps,  # noqa: F401
)
from tests.stages.corpora.test_refcocog import release as refcocog  # noqa: F401
from tests.stages.corpora.test_rocov2 import release as rocov2  # noqa: F401


@pytest.fixture
def scenes() -> dict[str, int]:
    """Settings of a corpus of generated pictures; a fixture named after another corpus is its folder."""
    return {"count": 1}


referring = series = radiographs = spectrograms = scenes


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    paint(tmp_path / "images/7.png")
    (tmp_path / "captions.jsonl").write_text('{"image_id": 7, "file": "7.png", "captions": ["A cat."]}\n')
    return tmp_path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    paint(tmp_path / "a.png")
    (tmp_path / "captions.csv").write_text("file,caption\na.png,A cat.\n")
    return tmp_path


@pytest.fixture
def gtzan(tmp_path: Path) -> dict[str, object]:
    return {"path": clips(tmp_path, 1), "genres": ["blues", "jazz"], "spectrogram": SMALL}


@pytest.fixture
def truce(tmp_path: Path) -> dict[str, object]:
    record = {"idx": "1", "series": [1, 2, 3], "annotations": ["rises"]}
    (tmp_path / "pilot16btest.json").write_text(json.dumps({"a": record}))
    return {"path": tmp_path, "halves": ["pilot16b"], "splits": ["test"]}


@pytest.fixture
def capeval(tmp_path: Path) -> Path:
    paint(tmp_path / "image/DK001.jpg")
    asked = {"id": "DK001", "img_path": "DK001.jpg", "text_checklist": [{"Tags": "text", "Question": "Is it black?"}]}
    (tmp_path / "checklist.jsonl").write_text(json.dumps(asked) + "\n")
    (tmp_path / "gt_caption.jsonl").write_text('{"id": "DK001", "img_path": "DK001.jpg", "gt_caption": "A robot."}\n')
    return tmp_path


@pytest.fixture
def pope(tmp_path: Path) -> dict[str, object]:
    paint(tmp_path / "val2014/COCO_val2014_01.jpg")
    asked = {"question_id": 1, "image": "COCO_val2014_01.jpg", "text": "Is there a cat?", "label": "yes"}
    (tmp_path / "coco_pope_popular.json").write_text(json.dumps(asked) + "\n")
    return {"path": tmp_path, "questions": "coco_pope_popular.json"}


@pytest.mark.parametrize("corpus", CATALOGUE)
def test_a_picture_is_made_elsewhere(corpus: str, request: pytest.FixtureRequest) -> None:
    """A corpus of the catalogue without a fixture here fails."""
    given = request.getfixturevalue(corpus.replace("-", "_"))
    found = open_corpus(corpus, {"path": given} if isinstance(given, Path) else given).samples()
    picture = next(sample for sample in found if isinstance(sample, Sample)).picture
    carried = pickle.dumps(picture)
    assert len(carried) < 10_000
    assert np.array_equal(pickle.loads(carried)(), picture())
