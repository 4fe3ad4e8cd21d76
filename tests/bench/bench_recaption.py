"""ScaleCap and RICO over a folder of pictures, against one picture and one question at a time.

    python -m tests.bench.bench_recaption [pictures] [--method METHOD]

Pictures are generated scenes, and pocket models write. Ours is what ``palimpsest recaption`` does, from the pictures to
the records: batches, models read wave by wave, every reply stored, MLflow told. Against it stands the loop of the
papers' scripts with the same checkpoints, prompts and questions: models are read once beforehand, and every request
goes to the library by itself (``generate``, a pipeline, forwards with and without the picture of which all logits
become a list, as ScaleCap's script rates), its pictures brought along as PNG in base64. RICO's script starts a Python
process for every revision besides; we do not count that. It paints all pictures from one noise, ours each from its own,
so captions differ there.

Prints seconds on the clock and of CPU, which are all that a busy machine can tell (with OMP_NUM_THREADS=1), ratios, and
how many captions are the same; and the share that ScaleCap's rating has in the time of first captions.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from models.adapters.requests import Ask, Failure, LogProbs, Paint, Request, Said, Scored
from models.adapters.roles import Reply, Scores
from models.chat.in_process import InProcess
from models.media.images import encode_png
from models.recaptioners import Case
from registry.store import places
from stages.care import rewriting
from stages.corpora import Sample, open_corpus
from stages.engine.players import Player
from stages.recaption import Recaptioning

ROOT = Path(__file__).resolve().parents[2]
METHODS = ("scalecap", "rico")
AIMS = {"scalecap": 5, "rico": 3}
SETTINGS: dict[str, dict[str, Any]] = {"scalecap": {"as_written": True}, "rico": {}}
"""What is set beside what our study sets: ScaleCap's ratings take the probabilities that the captioner wrote with."""
ROWS = {"scalecap": 32, "rico": 8}
"""The ``micro_batch`` of our chat models: many short questions, and a few long ones."""
PAD = 16
"""Tokens to whose multiples our chat models fill up what they are asked."""
SHARE = 0.25
"""What rating is to cost at most of the first captions."""


class Took(NamedTuple):
    """Seconds on the clock, and of CPU in all threads."""

    wall: float
    cpu: float


class Shown:
    """A picture in memory."""

    def __init__(self, png: bytes) -> None:
        self.png = png
        self.digest = ""

    def base64(self) -> bytes:
        return base64.b64encode(self.png)

    def pixels(self) -> np.ndarray:
        raise NotImplementedError


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a checkout of its own."""
    here, named = Path.cwd(), {name: os.environ.pop(name) for name in places.SETTINGS if name in os.environ}
    for name in ("models", "studies"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "dvc.yaml").touch()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.update(named)


def timed(work: Callable[[], Any]) -> tuple[Any, Took]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, Took(time.perf_counter() - wall, time.process_time() - cpu)


class Alone:
    """Answers the requests of a method one by one, by the libraries as the papers' scripts call them."""

    def __init__(self, players: dict[str, Player]) -> None:
        import diffusers
        import transformers

        self.players, self.models = players, {}
        for role, player in players.items():
            path = player.entry["checkpoint"]
            if player.role == "painters":
                made = diffusers.StableDiffusion3Pipeline.from_pretrained(path, text_encoder_3=None, tokenizer_3=None)
                made.set_progress_bar_config(disable=True)
                self.models[role] = (made, None)
                continue
            kind = "AutoModelForCausalLM" if player.entry["adapter"] == "causal-lm" else "AutoModelForImageTextToText"
            prepare = "AutoTokenizer" if player.entry["adapter"] == "causal-lm" else "AutoProcessor"
            model = getattr(transformers, kind).from_pretrained(path).eval()
            model.generation_config.pad_token_id = model.generation_config.pad_token_id or 0
            self.models[role] = (model, getattr(transformers, prepare).from_pretrained(path))

    def caption(self, method: Recaptioning, picture: Shown) -> str:
        """The new caption of a picture."""
        conversation, reply = method.run(Case(picture, "")), None
        while True:
            try:
                asked = conversation.send(reply)
            except StopIteration as end:
                return str(end.value["caption"])
            several = isinstance(asked, list)
            replies = [self.reply(one) for one in (asked if several else [asked])]
            reply = replies if several else replies[0]

    def reply(self, request: Request) -> Any:
        model, processor = self.models[request.role]
        player = self.players[request.role]
        if isinstance(request, Paint):
            return Shown(encode_png(self.painted(model, player.entry, request.text)))
        assert isinstance(request, Ask | LogProbs)
        images = [Image.open(io.BytesIO(base64.b64decode(one.base64()))).convert("RGB") for one in request.pictures]
        content: Any = [*({"type": "image"} for _ in images), {"type": "text", "text": request.text}]
        seen = {"images": images} if images else {}
        if player.entry["adapter"] == "causal-lm":
            content = request.text
        text = processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        inputs = processor(text=[text], **seen, return_tensors="pt")
        if isinstance(request, LogProbs):
            return self.scores(model, getattr(processor, "tokenizer", processor), inputs, request.continuation)
        limit = player.decoding.max_tokens
        ids = model.generate(**inputs, max_new_tokens=limit, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        said = processor.decode(ids, skip_special_tokens=True).strip()
        ended = model.generation_config.eos_token_id in ids.tolist()
        try:
            read = request.read(Reply(said, "stop" if ended else "length"))
        except ValueError as error:
            return Failure(str(error), answered=True)
        return Said(read, None) if isinstance(request, Scored) else read

    def scores(self, model: Any, tokenizer: Any, inputs: Any, continuation: str) -> Scores:
        import torch

        coded = tokenizer(continuation, add_special_tokens=False, return_offsets_mapping=True)
        ids, start = coded["input_ids"], inputs["input_ids"].shape[1]
        more = torch.tensor([ids])
        joined = dict(inputs) | {"input_ids": torch.cat([inputs["input_ids"], more], 1)}
        joined["attention_mask"] = torch.ones_like(joined["input_ids"])
        with torch.inference_mode():
            logits = model(**joined).logits[0].log_softmax(-1).tolist()
        known = [logits[start + place - 1][token] for place, token in enumerate(ids)]
        return Scores(np.array(known), tuple(map(tuple, coded["offset_mapping"])))

    def painted(self, pipeline: Any, entry: dict[str, Any], text: str) -> np.ndarray:
        import torch

        picture = pipeline(
            text, height=entry["resolution"], width=entry["resolution"], num_inference_steps=entry["steps"],
            guidance_scale=entry["guidance"], max_sequence_length=entry["max_sequence_length"],
            generator=torch.Generator().manual_seed(0),
        ).images[0]  # fmt: skip
        return np.array(picture)


@contextmanager
def watched(spent: Counter[str]) -> Iterator[None]:
    """Add up the seconds of CPU that chat models take: for ratings, and for each text whose reply is rated."""
    kept = {name: getattr(InProcess, name) for name in ("answer_scored", "log_probabilities")}

    def counting(name: str) -> Callable[..., Any]:
        @wraps(kept[name])
        def wrapper(self: Any, conversations: Any, *rest: Any) -> Any:
            result, took = timed(lambda: kept[name](self, conversations, *rest))
            spent[conversations[0][-1].text if name == "answer_scored" else name] += took.cpu
            return result

        return wrapper

    for name in kept:
        setattr(InProcess, name, counting(name))
    try:
        yield
    finally:
        for name, function in kept.items():
            setattr(InProcess, name, function)


def draw(folder: Path, first: int, count: int) -> list[Shown]:
    folder.mkdir()
    scenes = list(open_corpus("scenes", {"count": first + count, "seed": 7}).samples())[first:]
    pictures = [Shown(encode_png(one.picture())) for one in scenes if isinstance(one, Sample)]
    for number, one in enumerate(pictures):
        (folder / f"{number:05}.png").write_bytes(one.png)
    return pictures


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Print the figures; return the ratios of clock seconds by method, and the share of rating."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="?", type=int, default=256)
    parser.add_argument("--method", choices=METHODS, action="append")
    given = parser.parse_args(arguments)
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary, inside(Path(temporary)):
        draw(Path("warm"), 0, 1)
        pictures = draw(Path("pictures"), 1, given.pictures)
        for name in given.method or METHODS:
            rewriting.rewrite(rewriting.study_of(Path("warm"), name, None), "overwrite")  # imports, and the registry
            study = rewriting.study_of(Path("pictures"), name, None)
            how = {"micro_batch": ROWS[name], "batch_size": 4 * ROWS[name], "pad": PAD}
            for model, said in study.models.items():
                study.models[model] = said | ({} if "steps" in said else how)  # painters stay as they are
            study.recaptioners[name] |= SETTINGS[name]
            method, spent = rewriting.method_of(study), Counter[str]()
            with watched(spent):
                records, ours = timed(lambda study=study: rewriting.rewrite(study, "overwrite"))  # type: ignore[misc]
            alone = Alone(dict(method.players))
            alone.caption(method, pictures[0])
            captions, theirs = timed(lambda: [alone.caption(method, one) for one in pictures])  # noqa: B023
            same = sum(one["caption"] == caption for one, caption in zip(records, captions, strict=True))
            found[name] = theirs.wall / ours.wall
            print(
                f"{name:8}  one by one {theirs.wall:7.1f} s ({theirs.cpu:7.1f} of CPU)   ours {ours.wall:7.1f} s "
                f"({ours.cpu:7.1f})   ratio {found[name]:5.1f} ({theirs.cpu / ours.cpu:.1f} of CPU; aim {AIMS[name]})"
                f"   same captions {same} of {len(captions)}",
                flush=True,
            )
            if spent["log_probabilities"]:
                found["rating"] = spent["log_probabilities"] / spent[method.first_prompt]
                print(f"          rating / first captions {found['rating']:.2f} (aim {SHARE} at most)", flush=True)
    return found


if __name__ == "__main__":
    main()
