"""Preference pairs of rewritten captions, as other programs read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from models.media.images import encode_png
from registry.store.dag import IMAGE, STAGES
from registry.store.keys import digest
from stages.care.preferences import export_pairs
from stages.engine.shards import image, write_shard

PNG = encode_png(np.full((4, 6, 3), 7, np.uint8))
TEXT, NUMBER = pa.string(), pa.float64()
AXES = ("degradation", "inpainter", "captioner", "recaptioner")
SCORES = {"better": (0.5, 0.9), "worse": (0.9, 0.5)}
"""Of the captions before and after."""


def row(sample: str, key: str, **columns: Any) -> dict[str, Any]:
    common = {"corpus": "cats", "parents": [], "parts": "{}", "value": "{}", "status": "ok", "reason": None}
    return common | dict.fromkeys(AXES) | {"sample": sample, "key": key} | columns


@pytest.fixture
def rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study whose captions were rewritten: for the better, for the worse, not at all, not readably, or failed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PALIMPSEST_OBJECTS", str(tmp_path / "objects"))
    (tmp_path / "params.yaml").write_text("study: mine\nquality: {lexical: {adapter: lexical, metrics: [rouge_l]}}\n")
    shard = "cats/part-00.parquet"
    write_shard(Path("data/prepare", shard), [row("any", "p", image=image(PNG, ""))], [("image", IMAGE)])
    first = [row(name, f"c-{name}", captioner="mine", parts=json.dumps({"prompt": "What is it?"})) for name in SCORES]
    write_shard(Path("data/caption/mine", shard), first, STAGES["caption"].fields)
    said = {"better": ("a red cat", {}), "worse": ("a green cat", {}), "same": ("a cat", {}), "failed": (None, {}),
            "unread": ("a cat", {"failures": [{"reason": "no tag"}]})}  # fmt: skip
    rows = [
        row(
            name, name, captioner="mine", recaptioner="rico", caption=caption, parents=["p", f"c-{name}"],
            parts=json.dumps({"picture": digest(PNG)}), value=json.dumps({"first": "a cat", "steps": [], **more}),
            status="ok" if caption else "failed",
        )
        for name, (caption, more) in said.items()
    ]  # fmt: skip
    fields = [*((axis, TEXT) for axis in AXES), ("caption", TEXT)]
    write_shard(Path("data/recaption/rico", shard), rows, fields)
    scores = [
        row(name, f"{name}-{by}", captioner="mine", recaptioner=by, rouge_l=score)
        for name, some in SCORES.items()
        for by, score in zip((None, "rico"), some, strict=True)
    ]
    write_shard(Path("data/quality/lexical", shard), scores, [*((axis, TEXT) for axis in AXES), ("rouge_l", NUMBER)])
    return Path("data/recaption/rico")


def test_trls_columns_are_read_by_datasets_and_are_a_conversation_to_trl(rewritten, tmp_path):
    """The reader that TRL uses, and its own question of a row, are the witnesses."""
    datasets, trl = pytest.importorskip("datasets"), pytest.importorskip("trl.data_utils")
    count, reasons = export_pairs(rewritten, tmp_path / "trl", "trl")
    assert count == 2
    assert reasons == {"the rewriting failed": 1, "a revision failed": 1, "nothing was changed": 1}
    read = datasets.Dataset.from_parquet(str(tmp_path / "trl/preferences.parquet"), cache_dir=str(tmp_path / "cache"))
    one = read[0]
    assert [picture.size for picture in one["images"]] == [(6, 4)] and trl.is_conversational(one)
    assert one["prompt"] == [{"role": "user", "content": "What is it?"}]
    assert one["chosen"][0]["content"] == "a red cat" and one["rejected"][0]["content"] == "a cat"


def test_records_are_those_of_ricos_training(rewritten, tmp_path):
    """``qwen2vl_lora_dpo`` of the released code: conversations, images, chosen and rejected, read as rankings."""
    count, reasons = export_pairs(rewritten, tmp_path / "out", "llama-factory", confirmed_by="lexical:rouge_l")
    assert count == 1 and reasons["the judge does not find the last caption better"] == 1
    (record,) = json.loads((tmp_path / "out/preferences.json").read_text())
    assert record["conversations"] == [{"from": "human", "value": "<image>What is it?"}]
    assert record["chosen"] == {"from": "gpt", "value": "a red cat"}
    assert record["rejected"] == {"from": "gpt", "value": "a cat"}
    assert (tmp_path / "out" / record["images"][0]).read_bytes() == PNG
    about = json.loads((tmp_path / "out/dataset_info.json").read_text())["preferences"]
    assert about["ranking"] and about["columns"]["messages"] == "conversations"


def test_a_caption_that_nobody_had_written_before_is_no_pair(rewritten, tmp_path):
    """As of a method that describes a picture without captions: nothing would be rejected."""
    said = {"picture": digest(PNG), "method": {"first_prompt": "Describe it."}}
    own = row("new", "new", recaptioner="share", caption="a cat", parents=["p"], parts=json.dumps(said),
              value=json.dumps({"first": ""}))  # fmt: skip
    fields = [*((axis, TEXT) for axis in AXES), ("caption", TEXT)]
    write_shard(Path("data/recaption/share/cats/part-00.parquet"), [own], fields)
    count, reasons = export_pairs(Path("data/recaption/share"), tmp_path / "trl", "trl")
    assert (count, reasons) == (0, {"there was no first caption": 1})


def test_what_has_no_pairs_is_refused(rewritten, tmp_path):
    for arguments, message in [
        (
            (rewritten, tmp_path / "a", "llama-factry"),
            'no layout of pairs "llama-factry"; did you mean "llama-factory"',
        ),
        ((Path("data/caption/mine"), tmp_path / "a", "trl"), "holds no rewritten captions: name one such as"),
        ((rewritten, tmp_path, "trl"), "is not empty"),
        ((rewritten, tmp_path / "a", "trl", "lexical:rouge"), 'side "rouge"; did you mean "rouge_l"'),
    ]:
        with pytest.raises(ValueError, match=message):
            export_pairs(*arguments)
