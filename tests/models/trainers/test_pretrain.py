"""Pretraining of small LLaVAs, held against transformers' own loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, load_file, save

from models.adapters.catalogue import build
from models.adapters.roles import Arrays, Lesson, Piece, Turn
from models.chat.learning import Connected
from models.trainers import pretraining
from models.trainers.pretrain import Pretrain
from models.trainers.pretraining import CHECKPOINT, Course
from models.worlds.scenes import scene

pytestmark = pytest.mark.usefixtures("one_thread")

OFF = {"epochs": 0}


@dataclass(frozen=True)
class Shown:
    """A scene's picture, in memory; with columns left out, of another shape."""

    digest: str

    def pixels(self) -> np.ndarray:
        return scene(3, int(self.digest)).picture[:, : 64 if int(self.digest) % 2 else 48]


LESSONS = [
    *(Lesson(Shown(str(k)), f"ba du {said}") for k, said in enumerate(["be", "bi ko", "bo", "fu fa"])),
    *(Lesson(Shown(str(k)), said, stage="initial") for k, said in enumerate(["ba", "di", "do", "fa"])),
    *(Lesson(Shown(str(k)), said, question=asked, stage="instruction")
      for k in (4, 5) for asked, said in [("ki", "ba"), ("li mo", "fu be"), ("da", "ma")]),
]  # fmt: skip


@pytest.fixture(params=["llava-onevision", "llava"])
def base(request: pytest.FixtureRequest) -> dict[str, Any]:
    name = {"llava-onevision": "llava_checkpoint", "llava": "llava_15_checkpoint"}[request.param]
    return {"adapter": request.param, "checkpoint": request.getfixturevalue(name)}


SOURCES = {"initial_captions": "short", "instructions": "asked"}


def pretrain(base: dict[str, Any], **settings: Any) -> Pretrain:
    small = {"rate": 1e-2, "batch": 2}
    stages = {name: small | settings.pop(name, {}) for name in ("initial", "further", "instruction")}
    made = Pretrain(Pretrain.Settings(**SOURCES | settings, **stages), build("chat", "mine", base))
    made.load()
    return made


def known(trainer: Pretrain, lessons: list[Lesson]) -> Callable[[Piece], Arrays]:
    """Pieces as the registry keeps them."""
    pieces = trainer.pieces(lessons)
    kept = (load(save(dict(one))) for one in trainer.encode(pieces))
    return dict(zip(pieces, kept, strict=True)).__getitem__


def trained(trainer: Pretrain, folder: Path, lessons: list[Lesson] = LESSONS) -> dict[str, torch.Tensor]:
    """The weights of the result."""
    folder.mkdir(exist_ok=True)
    done = trainer.train(lessons, known(trainer, lessons), 0, folder, lambda figures, step: None)
    return load_file(done.files["model.safetensors"])


@pytest.mark.parametrize("kept", [True, False])
def test_the_loss_is_that_of_transformers(base, kept, tmp_path):
    """A caption and a conversation of three turns, whose questions are not learnt: labels that stand for the words
    after each "assistant", the turn's end included."""
    from PIL import Image

    trainer = pretrain(base, kept=kept, fresh=(), micro_batch=1, initial=OFF)
    lessons = [LESSONS[1], *LESSONS[-3:]]
    chat, features = trainer._ready(), known(trainer, lessons)
    course = Course(trainer.settings, Connected(chat, (), 0, kept), features, tmp_path)
    for weight in course.weights:
        weight.requires_grad_(True)
    ours = course.backward([course.talk(lessons[:1]), course.talk(lessons[1:])])
    gradient = chat._model.model.multi_modal_projector.linear_1.bias.grad

    model, processor = type(chat._model).from_pretrained(base["checkpoint"]), chat._processor
    tokens, losses = [], []
    for some in (lessons[:1], lessons[1:]):
        said = [(("user", one.question or "Describe the image."), ("assistant", one.caption)) for one in some]
        turns = [Turn(*turn) for both in said for turn in both]
        turns[0] = Turn("user", turns[0].text, (some[0].picture.pixels(),))
        inputs = processor(
            images=[Image.fromarray(turns[0].pictures[0])], text=[chat._text(turns, whole=True)], return_tensors="pt"
        )
        ids = inputs["input_ids"][0].tolist()
        labels, answering = [], False
        begins = processor.tokenizer("assistant", add_special_tokens=False)["input_ids"]
        for at, token in enumerate(ids):
            answering |= at >= len(begins) and ids[at - len(begins) : at] == begins
            labels.append(token if answering else -100)
            answering &= token != processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
        tokens.append(sum(label != -100 for label in labels))
        losses.append(model(**inputs, labels=torch.tensor([labels])).loss)
    theirs = sum(loss * count for loss, count in zip(losses, tokens, strict=True)) / sum(tokens)
    theirs.backward()
    assert ours == pytest.approx(theirs.item(), abs=1e-5)
    witness = model.model.multi_modal_projector.linear_1.bias.grad
    assert torch.allclose(gradient, witness, atol=1e-5)


def test_the_first_stage_learns_the_projector_alone_and_the_tower_never_does(base, tmp_path):
    before = load_file(Path(base["checkpoint"], "model.safetensors"))
    first = trained(pretrain(base, fresh=(), further=OFF, instruction=OFF), tmp_path / "first")
    assert {name for name, weight in first.items() if not torch.equal(weight, before[name])} == {
        name for name in before if "multi_modal_projector" in name
    }
    trainer = pretrain(base, fresh=("projector", "language_model"))
    whole = trained(trainer, tmp_path / "whole")
    assert {name for name, weight in whole.items() if torch.equal(weight, before[name])} == {
        name for name in before if "vision_tower" in name
    }


def test_a_killed_training_goes_on_to_the_same_files_and_these_are_a_chat_model(base, tmp_path, monkeypatch):
    monkeypatch.setattr(pretraining, "CHECKPOINT_EVERY", 1)
    monkeypatch.setattr(pretraining, "LOG_EVERY", 1)

    def made() -> Pretrain:
        return pretrain(base, fresh=("projector", "language_model"), instruction={"epochs": 3})

    trained(made(), tmp_path / "whole")
    (tmp_path / "killed").mkdir()
    heard: list[int] = []

    def killed(figures: Any, step: int) -> None:
        heard.append(step)
        if len(heard) in (3, 6):
            raise KeyboardInterrupt

    for _ in range(2):
        trainer = made()
        with pytest.raises(KeyboardInterrupt):
            trainer.train(LESSONS, known(trainer, LESSONS), 0, tmp_path / "killed", killed)
    trainer = made()
    done = trainer.train(LESSONS, known(trainer, LESSONS), 0, tmp_path / "killed", killed)
    assert heard == [1, 2, 3, 3, 4, 5, 5, 6, 7], "what was kept is not learnt twice"
    assert done.figures["steps"] == 7 and done.figures["lessons"] == len(LESSONS) and done.figures["truncated"] == 0
    for name, file in done.files.items():
        assert file.read_bytes() == (tmp_path / "whole/whole" / name).read_bytes(), name
        assert b"/tmp" not in file.read_bytes() or file.suffix == ".safetensors", "no path of this machine"
    chat = build("chat", "mine", {**base, "checkpoint": str(tmp_path / "killed/whole")})
    chat.load()
    asked = [Turn("user", "Describe the image.", (Shown("1").pixels(),))]
    assert chat.choose([asked], [["ba", "ki"]])[0][0] > 0.5, "captions begin so, and questions do not count"


def test_all_cells_see_the_same_pictures_in_the_same_order(llava_checkpoint, tmp_path):
    """Of other captions, and of fewer of them: then the others are left out. Another seed has another order."""

    def seen(lessons: list[Lesson], seed: int = 0) -> list[str]:
        trainer = pretrain(
            {"adapter": "llava-onevision", "checkpoint": llava_checkpoint}, initial=OFF, instruction=OFF,
            further={"batch": 1, "epochs": 3},
        )  # fmt: skip
        table, order = known(trainer, lessons), list[str]()

        def found(piece: Piece) -> Arrays:
            order.append(piece.picture.digest)  # type: ignore[union-attr]
            return table(piece)

        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        trainer.train(lessons, found, seed, folder, lambda figures, step: None)
        return order

    more = seen(LESSONS[:4])
    assert seen([Lesson(one.picture, "ku") for one in LESSONS[:4]]) == more
    assert seen(LESSONS[1:4]) == [name for name in more if name != "0"]
    assert len(set(map(tuple, (more[:4], more[4:8], more[8:])))) > 1 and seen(LESSONS[:4], seed=1) != more


def test_what_is_open_is_the_papers():
    """ScaleCap, appendix C: rates and batches."""
    paper = Pretrain.Settings(**SOURCES, further={"epochs": 2})
    assert [(one.rate, one.batch, one.epochs) for one in (paper.initial, paper.further, paper.instruction)] == [
        (1e-3, 256, 1), (4e-5, 256, 2), (2e-5, 128, 1),
    ]  # fmt: skip
    assert paper.fresh == ("projector",)


def test_what_cannot_be_learnt_is_refused(llava_checkpoint, qwen_checkpoint, tmp_path):
    base = {"adapter": "llava-onevision", "checkpoint": llava_checkpoint}
    for lessons, stage in ((LESSONS[4:], "further"), (LESSONS[:4], "initial"), (LESSONS[:8], "instruction")):
        with pytest.raises(ValueError, match=f"the stage `{stage}` has nothing to learn from: name its `"):
            pretrain(base).pieces(lessons)
    with pytest.raises(ValueError, match="no stage has any epochs"):
        pretrain(base, initial=OFF, further=OFF, instruction=OFF)
    for stage, source in (("initial", "initial_captions"), ("instruction", "instructions")):
        with pytest.raises(ValueError, match=f"the stage `{stage}` has nothing to learn from: name its `{source}`"):
            pretrain(base, **{source: None})
    with pytest.raises(ValueError, match=r"4 captions in 1 epochs fill no batch of 8: lower `batch`"):
        trained(pretrain(base, further={"batch": 8}), tmp_path)
    with pytest.raises(ValueError, match="which leaves no words below the cutoff of 20: raise it"):
        trained(pretrain(base, cutoff=20), tmp_path)
    with pytest.raises(ValueError, match="a Qwen25Vl is not a tower and a language model with a projector between"):
        pretrain({"adapter": "qwen2.5-vl", "checkpoint": qwen_checkpoint})
    with pytest.raises(ValueError, match="is of type 'qwen2_5_vl', and 'llava_onevision' is needed"):
        trained(pretrain({**base, "checkpoint": qwen_checkpoint}), tmp_path)


def test_a_loss_that_is_no_number_stops_and_the_weights_before_it_are_kept(llava_checkpoint, tmp_path):
    base = {"adapter": "llava-onevision", "checkpoint": llava_checkpoint}
    trainer = pretrain(base, further={"rate": 1e30, "epochs": 3}, initial=OFF)
    said = r"the loss of step \d of 6 of the stage `further` is .*, for the pictures \d, \d; .*: lower its `rate`"
    with pytest.raises(FloatingPointError, match=said):
        trained(trainer, tmp_path)
    kept = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert 1 <= kept["step"] < 6 and len(kept["weights"]) > 10


def test_long_captions_lose_their_end(llava_checkpoint, tmp_path):
    base = {"adapter": "llava-onevision", "checkpoint": llava_checkpoint}
    trainer = pretrain(base, initial=OFF, instruction=OFF)
    learner = Connected(trainer._ready(), (), 0, False)
    prompt, path, _ = learner.conversation(LESSONS[0].picture.pixels(), [("Describe the image.", LESSONS[0].caption)])
    short = pretrain(base, initial=OFF, instruction=OFF, cutoff=prompt.length + len(path) - 1)
    done = short.train(LESSONS[:4], known(short, LESSONS[:4]), 0, tmp_path, lambda figures, step: None)
    assert done.figures["truncated"] == 0.5, "the two of pictures that are no squares, and so more tokens"


@pytest.mark.parametrize("kept", [True, False])
def test_a_checkpoint_of_half_precision_learns_in_whole_and_is_saved_as_it_was(base, kept, tmp_path):
    before = load_file(Path(base["checkpoint"], "model.safetensors"))
    trainer = pretrain({**base, "dtype": "bfloat16"}, kept=kept, further={"rate": 1e-4}, initial=OFF, instruction=OFF)
    after = trained(trainer, tmp_path)
    assert {weight.dtype for weight in after.values()} == {torch.bfloat16}
    changed = {name for name, weight in after.items() if not torch.equal(weight, before[name].bfloat16())}
    assert changed and not any("vision_tower" in name for name in changed)
