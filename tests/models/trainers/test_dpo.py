"""Direct preference optimization of the pocket captioners, held against TRL's ``DPOTrainer``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from models.adapters.catalogue import build
from models.adapters.roles import Arrays, Lesson, Piece, Turn
from models.pocket import WEIGHTS
from models.trainers.dpo import SCORED, Dpo
from models.worlds.scenes import scene

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
    return build("captioners", "mine", {"adapter": family, "checkpoint": str(WEIGHTS / family), **settings})


def dpo(family: str = "qwen2.5-vl", **settings: Any) -> Dpo:
    made = Dpo(Dpo.Settings(**settings), captioner(family))
    made.load()
    return made


def known(trainer: Dpo, some: list[Lesson]) -> Callable[[Piece], Arrays]:
    pieces = trainer.pieces(some)
    return dict(zip(pieces, trainer.encode(pieces), strict=True)).__getitem__


def trained(trainer: Dpo, some: list[Lesson], folder: Path, before: Callable[[Piece], Arrays]) -> list[dict[str, float]]:
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
    theirs = DPOTrainer(lora.begun(chat._model, 8, 0), args=settings, train_dataset=rows, processing_class=chat._processor)
    with contextlib.redirect_stdout(None):
        theirs.train()
    steps_there = theirs.state.log_history[:-1]
    assert [one["loss"] for one in ours] == pytest.approx([one["loss"] for one in steps_there], abs=1e-4)
    assert [one["norm"] for one in ours] == pytest.approx([one["grad_norm"] for one in steps_there], rel=1e-3)
    assert 4 * sum(ours_seen) == sum(theirs_seen), "a picture is encoded once a pair"
    assert ours[0]["loss"] == pytest.approx(np.log(2), abs=1e-6), "nothing is learnt yet"
    assert ours[-1]["loss"] < 0.6 and ours[-1]["right"] == 1
