"""Direct preference optimization of the pocket captioners, held against TRL's ``DPOTrainer``."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pydantic import ValidationError

from models.adapters.catalogue import build
from models.adapters.roles import Arrays, Lesson, Piece, Turn
from models.media.images import encode_png
from models.pocket import WEIGHTS
from models.trainers.dpo import Dpo
from models.worlds.scenes import scene
from registry.store.dag import STAGES
from stages import train
from stages.engine.loop import execute
from stages.engine.shards import DISK, WHOLE, image, write_shard
from stages.engine.study import Study

pytestmark = pytest.mark.usefixtures("one_thread")

PROMPT = "Describe the image."


@dataclass(frozen=True)
class Shown:
    """A scene's picture, in memory."""

    digest: str
    rows: int = 64

    def pixels(self) -> np.ndarray:
        return scene(3, int(self.digest)).picture[: self.rows]


def lessons(count: int, **more: Any) -> list[Lesson]:
    """Wordings of scenes, of which the shorter one is the worse."""
    some = [scene(3, index).references for index in range(count)]
    return [Lesson(Shown(str(index), **more), texts[0], texts[2]) for index, texts in enumerate(some)]


def captioner(family: str = "qwen2.5-vl", **settings: Any) -> Any:
    return build("captioners", "mine", {"adapter": family, "checkpoint": str(WEIGHTS / family)} | settings)


def dpo(family: str = "qwen2.5-vl", **settings: Any) -> Dpo:
    made = Dpo(Dpo.Settings(**settings), captioner(family))
    made.load()
    return made


def known(trainer: Dpo, some: list[Lesson]) -> Callable[[Piece], Arrays]:
    pieces = trainer.pieces(some)
    return dict(zip(pieces, trainer.encode(pieces), strict=True)).__getitem__


def trained(
    trainer: Dpo, some: list[Lesson], folder: Path, before: Callable[[Piece], Arrays]
) -> list[dict[str, float]]:
    """The figures of each step."""
    heard: list[dict[str, float]] = []
    folder.mkdir(exist_ok=True)
    trainer.train(some, before, 0, folder, lambda figures, step: heard.append(dict(figures)))
    return heard


def seen(model: Any) -> list[int]:
    """The patches or tiles that the tower sees from now on, call by call."""
    counts: list[int] = []
    tower = getattr(model.model, "visual", None) or model.model.vision_tower
    tower.register_forward_pre_hook(lambda _, given: counts.append(len(given[0])))
    return counts


@pytest.mark.parametrize("family", ["qwen2.5-vl", "llava-onevision"])
@pytest.mark.filterwarnings("ignore")  # TRL's and the Trainer's own
def test_losses_and_gradients_are_those_of_trl(family, tmp_path):
    """Four steps on all pairs at once, so that their order does not matter.

    Unlike ours, TRL encodes each picture four times a step, cuts whole rows at ``max_length``, picture tokens too, and
    refuses that (hence None), and cannot keep reference log-probabilities of pictures.
    """
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    from models.chat import lora

    some, steps = lessons(4), 4
    trainer = dpo(family, rate=1e-3, epochs=steps, batch=4, micro_batch=4, warmup=0.25)
    before = known(trainer, some)
    ours_seen = seen(trainer._chat._model)
    ours = trained(trainer, some, tmp_path, before)

    chat = captioner(family).chat
    chat.load()
    theirs_seen = seen(chat._model)
    said = [{"role": "user", "content": PROMPT}]
    rows = Dataset.from_list([
        {"images": [Image.fromarray(one.picture.pixels())], "prompt": said,
         "chosen": [{"role": "assistant", "content": one.caption}],
         "rejected": [{"role": "assistant", "content": one.rejected}]}
        for one in some
    ])  # fmt: skip
    settings = DPOConfig(
        output_dir=str(tmp_path / "trl"), per_device_train_batch_size=4, num_train_epochs=steps, learning_rate=1e-3,
        lr_scheduler_type="cosine", warmup_steps=1, max_length=None, bf16=False, gradient_checkpointing=False,
        logging_steps=1, report_to=[], use_cpu=True, save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    theirs = DPOTrainer(
        lora.begun(chat._model, 8, 0), args=settings, train_dataset=rows, processing_class=chat._processor
    )
    with contextlib.redirect_stdout(None):
        theirs.train()
    steps_there = theirs.state.log_history[:-1]
    assert [one["loss"] for one in ours] == pytest.approx([one["loss"] for one in steps_there], abs=1e-4)
    assert [one["norm"] for one in ours] == pytest.approx([one["grad_norm"] for one in steps_there], rel=1e-3)
    assert 4 * sum(ours_seen) == sum(theirs_seen), "a picture is encoded once a pair"
    assert ours[0]["loss"] == pytest.approx(np.log(2), abs=1e-6), "nothing is learnt yet"
    assert ours[-1]["loss"] < 0.6 and ours[-1]["right"] == 1


def test_a_killed_training_goes_on_to_the_same_files(tmp_path, monkeypatch):
    monkeypatch.setattr("models.trainers.dpo.EVERY", 1)
    some = lessons(3)
    trainer = dpo(rate=1e-3, epochs=3, batch=2, micro_batch=2)
    before = known(trainer, some)
    trained(trainer, some, tmp_path / "whole", before)

    def killed(figures: Any, step: int) -> None:
        if step == 3:
            raise KeyboardInterrupt

    (tmp_path / "killed").mkdir()
    with pytest.raises(KeyboardInterrupt):
        dpo(rate=1e-3, epochs=3, batch=2, micro_batch=2).train(some, before, 0, tmp_path / "killed", killed)
    heard = trained(trainer, some, tmp_path / "killed", before)
    assert len(heard) == 2, "two of four steps were kept"
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_an_anchor_adds_the_loss_of_the_chosen_captions(tmp_path):
    some, how = lessons(2), {"batch": 2, "epochs": 1}
    before = known(dpo(), some)
    plain, anchored, positives = (
        trained(dpo(**how, **more), some, tmp_path / str(k), before)[0]["loss"]
        for k, more in enumerate([{}, {"anchor": 2.0}, {"objective": "positives"}])
    )
    assert anchored == pytest.approx(plain + 2 * positives, abs=1e-5) and positives > 0.1


def test_a_loss_that_is_no_number_stops_at_its_step(tmp_path):
    some = lessons(2)
    trainer = dpo(rate=1e30, epochs=4, batch=2)
    with pytest.raises(FloatingPointError, match=r"the loss of step \d of 4 is .*, for the pictures .*: lower `rate`"):
        trained(trainer, some, tmp_path, known(trainer, some))
    assert (tmp_path / "adapter_model.safetensors").exists()


def test_what_cannot_be_learnt_is_refused_and_long_captions_lose_their_end(tmp_path):
    some = lessons(2)
    trainer = dpo(rate=1e-3, epochs=1, batch=2, cutoff=78)
    before = known(trainer, some)
    unchanged = [Lesson(Shown("0"), "a star", "a star"), Lesson(Shown("0"), "a star")]
    with pytest.raises(ValueError, match="none of 2 captions has a worse one beside it"):
        trained(trainer, unchanged, tmp_path, before)
    done = trainer.train([*some, *unchanged], before, 0, tmp_path, lambda figures, step: None)
    assert done.figures["lessons"] == 4 and done.figures["unlearnt"] == 2
    assert done.figures["truncated"] == 1, "76 tokens come before"
    with pytest.raises(ValueError, match="leaves no caption below the cutoff of 70"):
        trained(dpo(batch=2, cutoff=70), some, tmp_path / "none", before)
    with pytest.raises(ValueError, match="a Blip cannot learn preferences: take a captioner over a chat model"):
        Dpo(Dpo.Settings(), captioner("blip"))


def test_the_variants_are_the_papers_and_the_released_numbers():
    """Paper *RICO*, appendix C.2; ``qwen2vl_lora_dpo.yaml`` of its code."""
    paper, released = Dpo.Settings(), Dpo.Settings(variant="released")
    common = (0.1, 0.1, 64, 8)
    for one, numbers in ((paper, (1e-5, 3, 2048)), (released, (5e-6, 6, 1024))):
        assert (one.rate, one.epochs, one.cutoff) == numbers
        assert (one.beta, one.warmup, one.batch, one.rank) == common
    assert Dpo.Settings(variant="released", epochs=1).epochs == 1
    with pytest.raises(ValidationError):
        Dpo.Settings(variant="publishd")


def test_what_was_learnt_is_a_captioner_like_any_other(tmp_path):
    """The adapter as PEFT reads it by itself, and no other checkpoint takes it."""
    from peft import PeftModel

    from models.chat import lora

    some = lessons(4)
    trainer = dpo(rate=3e-3, epochs=6, batch=4, objective="positives", tower=True)
    assert trainer.pieces(some) == []
    heard = trained(trainer, some, tmp_path, {}.__getitem__)
    assert heard[-1]["loss"] < heard[0]["loss"]
    flash, plain = captioner(lora=str(tmp_path)), captioner()
    assert plain.identity().keys() == flash.identity().keys() - {"lora"}
    flash.load(), plain.load()
    turns, texts = [[Turn("user", PROMPT, (one.picture.pixels(),))] for one in some], [one.caption for one in some]
    there = [one.log_probabilities for one in flash.chat.log_probabilities(turns, texts)]
    before = [one.log_probabilities for one in plain.chat.log_probabilities(turns, texts)]
    assert np.concatenate(there).sum() > np.concatenate(before).sum() + 1
    with lora.quiet():  # into the layers that are there
        PeftModel.from_pretrained(plain.chat._model, str(tmp_path))
    plain.chat._features.clear()
    witness = [one.log_probabilities for one in plain.chat.log_probabilities(turns, texts)]
    assert np.concatenate(there) == pytest.approx(np.concatenate(witness), abs=1e-6)
    with pytest.raises(ValueError, match="was trained over a checkpoint of digest"):
        captioner("llava-onevision", lora=str(tmp_path)).load()
    with pytest.raises(FileNotFoundError, match="is not there: name the folder that a training wrote"):
        captioner(lora=str(tmp_path / "nowhere")).identity()
    config = tmp_path / "adapter_config.json"
    config.write_text(config.read_text().replace('"r": 8', '"r": 4'))
    with pytest.raises(ValueError, match="does not fit the checkpoint"):
        captioner(lora=str(tmp_path)).load()
    config.write_text("{}")
    with pytest.raises(ValueError, match="adapter_config.json that is not PEFT's: get the adapter again"):
        captioner(lora=str(tmp_path)).load()


def test_a_study_trains_on_what_rico_wrote_and_names_the_result_as_a_captioner(tmp_path, monkeypatch):
    """The stage ``train`` on an output of ``recaption`` in which one caption stayed as it was."""
    root = Path.cwd()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").touch()
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    pictures, captions = [], []
    for k, one in enumerate(lessons(3)):
        common = {"corpus": "scenes", "sample": f"s{k}", "status": "ok"}
        png = image(encode_png(one.picture.pixels()), "")
        pictures.append({**common, "key": f"p{k}", "parents": [], "image": png, "annotations": "{}"})
        first = one.caption if k == 2 else one.rejected
        captions.append({**common, "key": f"c{k}", "parents": [f"p{k}"], "caption": one.caption, "captioner": "mine",
                         "recaptioner": "rico", "value": json.dumps({"first": first})})  # fmt: skip
    for stage, folder, rows in (("prepare", "scenes", pictures), ("recaption", "rico/scenes", captions)):
        row = STAGES[stage]
        fields = [*((axis, pa.string()) for axis in row.axes), *row.fields]
        write_shard(row.folder() / folder / "part-00.parquet", rows, fields)
    checkpoint = str(root / WEIGHTS / "qwen2.5-vl")
    study = Study(
        study="small",
        models={"qwen": {"adapter": "qwen2.5-vl", "checkpoint": checkpoint}},
        corpora={"scenes": {"adapter": "scenes", "path": "."}},
        recaptioners={"rico": {"method": "rico"}},
        training={"flash": {"kind": "dpo", "captioner": "qwen", "captions": "rico", "batch": 2, "epochs": 2}},
    )
    link = execute(train.node(study, "flash"))
    assert (link["failed"], link["requests"]["asked"]) == (0, 4), "two captions of two pairs, as items of their own"
    (row,) = DISK.read(Path("data/train/flash/scenes", WHOLE))
    made = json.loads(row["value"])
    assert (made["lessons"], made["unlearnt"], made["steps"]) == (3, 1, 2)
    flash = captioner(checkpoint=checkpoint, lora="data/train/flash/scenes", beams=1, candidates=1)
    flash.load()
    assert flash.caption([scene(3, 0).picture], [PROMPT], [0])[0][0]
