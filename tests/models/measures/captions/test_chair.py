"""Witnesses: the paper's formula by hand, a published worked example, the authors' synonyms and sets of objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.measures.captions.candidates import Candidate, Corpus, candidates
from models.measures.captions.chair import NO_OBJECT, OURS, Chair, mentions, read_words
from models.media.images import encode_png
from models.worlds import grammar

SHARED = Path(__file__).resolve().parents[4] / "../shared/data"
WORDS = read_words()
THEIRS = SHARED / "chair/synonyms.txt"
needs_theirs = pytest.mark.skipif(not THEIRS.is_file(), reason="needs ../shared/data/chair")


class Fitted:
    """CHAIR of some photographs, asked about captions by id."""

    def __init__(self, references: dict[str, list[str]], objects: dict[str, list[Any]], **settings: Any) -> None:
        self.known = references, {key: {"objects": things} for key, things in objects.items()}
        self.measure = Chair(Chair.Settings(**settings))
        self.measure.fit(Corpus(*self.known))

    def score(self, captions: dict[str, str], masks: dict[str, bytes] | None = None) -> dict[str, dict[str, Any]]:
        records = candidates(captions, *self.known, masks)
        return dict(zip(captions, self.measure.score(records), strict=True))

    def corpus(self, captions: dict[str, str]) -> dict[str, Any]:
        return self.measure.corpus(candidates(captions, *self.known))


def box(label: str, *edges: float) -> dict[str, Any]:
    return {"label": label, "box": list(edges or (0, 0, 4, 4))}


@pytest.fixture
def measure() -> Fitted:
    objects = {"1": [box("person"), box("dog"), box("dog", 8, 8, 4, 4)], "2": [box("cat")]}
    return Fitted({"1": ["a man with two dogs on a bench"], "2": ["a sleeping cat"]}, objects)


def test_the_formula_by_hand(measure: Fitted) -> None:
    """Equations 1 and 2: hallucinated objects / all objects mentioned, and sentences with one / all sentences.

    Of woman, dog, bench and two frisbees the frisbees are not there; the second caption names a cat and a couch. In
    all 3 of 6 mentions and 2 of 2 captions. True are person, dog and bench, and cat: 4, of which 4 are named.
    """
    captions = {"1": "a woman and her dog on a bench catch a frisbee; red frisbee", "2": "the kitten"}
    assert measure.score(captions) == {
        "1": {"chair_i": 2 / 5, "chair_s": 1, "chair_recall": {"whole": 1}},
        "2": {"chair_i": 0, "chair_s": 0, "chair_recall": {"whole": 1}},
    }
    captions["2"] = "a sofa"
    corpus = measure.corpus(captions)
    assert corpus == {"chair_i": 3 / 6, "chair_s": 1, "chair_recall": {"whole": 3 / 4}}


def test_a_caption_without_objects(measure: Fitted) -> None:
    for caption in ("", "a sunny day"):
        assert measure.score({"1": caption})["1"] == {"chair_i": None, "chair_s": 0, "chair_recall": {"whole": 0}}


def test_true_objects_are_the_annotated_and_the_named(measure: Fitted) -> None:
    assert measure.score({"1": "a bench"})["1"]["chair_i"] == 0, "a reference names it, no box does"
    assert measure.score({"1": "a person"})["1"]["chair_i"] == 0, "annotated, and in the reference as a man"
    assert measure.score({"2": "a bench"})["2"]["chair_i"] == 1, "it is in the other photograph"


def test_regions_hold_what_lies_in_them_only() -> None:
    """The mask is the left half: the cat lies in it, the dog and the bench do not, one cup does and one does not."""
    mask = np.zeros((20, 20), bool)
    mask[:, :10] = True
    objects = [box("cat", 0, 0, 8, 8), box("dog", 12, 0, 8, 8), box("bench", 6, 12, 10, 4)]
    measure = Fitted({"1": ["pets and a kite"]}, {"1": [*objects, box("cup", 1, 1, 2, 2), box("cup", 15, 1, 2, 2)]})
    got = measure.score({"1": "a cat and a bench and a cup and a car"}, {"1": encode_png(mask)})["1"]
    assert got == {"chair_i": 1 / 4, "chair_s": 1, "chair_recall": {"whole": 3 / 5, "region": 1, "outside": 1 / 2}}
    far = measure.score({"1": "a dog"}, {"1": encode_png(mask)})["1"]["chair_recall"]
    assert far == {"whole": 1 / 5, "region": 0, "outside": 1 / 2}


def test_the_order_of_boxes_and_the_words_do_not_matter(measure: Fitted) -> None:
    turned = Fitted(
        {"1": ["a man with two dogs on a bench"]}, {"1": [box("dog", 8, 8, 4, 4), box("dog"), box("person")]}
    )
    caption = {"1": "two puppies and a lady near a car"}
    assert turned.score(caption) == measure.score(caption)
    assert turned.score({"1": "two dogs and a person near an automobile"}) == measure.score(caption)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Men, women and CHILDREN", ["person"] * 3),
        ("a baby elephant and a baby", ["elephant", "person"]),
        ("two knives, three buses and four puppies", ["knife", "bus", "dog"]),
        ("wine glasses by a bottle of wine", ["wine glass", "bottle"]),
        ("a man's bow tie", ["person", "tie"]),
        ("a hot dog", ["hot dog"]),
        ("a dog on the train tracks", ["dog"]),
        ("a teddy bear beside a bear", ["teddy bear", "bear"]),
        ("a toilet seat", ["toilet"]),
        ("a motor bike and a motor-bike", ["motorcycle"] * 2),  # the authors' program reads ' motor bike', with a space
        ("he has cheesecake", ["cake"]),
        ("carpet and category", []),
        ("", []),
    ],
)
def test_what_is_a_mention(text: str, named: list[str]) -> None:
    assert mentions(text, WORDS) == named


def test_the_list_has_the_80_categories() -> None:
    names = set(WORDS.values()) - {NO_OBJECT}
    assert len(names) == 80
    assert all(mentions(name, WORDS) == [name] for name in names)


@needs_theirs
def test_the_list_against_the_authors() -> None:
    """Every word of theirs is of the same category here or left out; which are left out is known."""
    lines = [[entry.strip() for entry in line.split(",")] for line in THEIRS.read_text().splitlines()]
    listed = {(name, word) for name, *others in lines for word in (name, *others) if word}
    got = {(name, word): mentions(word, WORDS) for name, word in listed}
    assert {tuple(found) for (name, _), found in got.items() if found != [name]} == {()}
    missing = sorted(word for (_, word), found in got.items() if not found)
    assert " ".join(missing) == (
        "bagel bow brindle caller cocker container drinker female goat knive lenovo male notebook offender pancake "
        "phon sailboard solider street light streetlight sub televison trespasser turkey"
    )


@needs_theirs
@pytest.mark.parametrize("synonyms", [OURS, THEIRS], ids=["ours", "theirs"])
def test_a_published_example(synonyms: Path) -> None:
    """Two captions of LLaVA with the words that Maxlinn/CHAIR-metric-standalone finds in them, and its scores."""
    given = [json.loads(line) for line in (SHARED / "chair/standalone_example_inputs.jsonl").read_text().splitlines()]
    published = json.loads((SHARED / "chair/standalone_outputs.json").read_text())
    words = read_words(synonyms)
    captions = {str(one["image_id"]): one["caption"] for one in given}
    true = {str(one["image_id"]): one["mscoco_gt_words"] for one in published["sentences"]}
    measure = Fitted(
        {key: [""] for key in captions}, {key: [box(label) for label in labels] for key, labels in true.items()},
        synonyms=synonyms,
    )  # fmt: skip
    scores = measure.score(captions)
    for one in published["sentences"]:
        key = str(one["image_id"])
        assert mentions(one["caption"], words) == one["mscoco_generated_words"]
        metrics = {name: scores[key][ours] for name, ours in (("CHAIRs", "chair_s"), ("CHAIRi", "chair_i"))}
        assert metrics | {"Recall": scores[key]["chair_recall"]["whole"]} == one["metrics"]
    overall, corpus = published["overall_metrics"], measure.corpus(captions)
    assert (corpus["chair_s"], corpus["chair_i"]) == (overall["CHAIRs"], overall["CHAIRi"])
    assert corpus["chair_recall"]["whole"] == overall["Recall"]


@needs_theirs
def test_the_released_variant_does_not_find_words_behind_two_blanks() -> None:
    """The authors' program cuts a line at ", ", which leaves ' cheesecake' and ' motor bike' with the second blank."""
    theirs, released = read_words(THEIRS), read_words(THEIRS, released=True)
    assert {" ".join(words) for words in theirs.keys() - released.keys()} == {
        "cheesecake", "cheesecakes", "motor bike", "motor bikes",
    }  # fmt: skip
    assert read_words(OURS, released=True) == WORDS, "so keys stay what they are"
    identities = [Chair(Chair.Settings(synonyms=THEIRS, released=one)).identity() for one in (False, True)]
    assert identities[0] != identities[1]


@needs_theirs
def test_true_objects_are_the_published_ones() -> None:
    """The photographs that are in both: boxes and references give the sets that the authors' program gives."""
    true = json.loads((SHARED / "chair/coco_gt_objects_subset.json").read_text())
    lines = (SHARED / "coco_photos/captions.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if str(row["image_id"]) in true]
    assert len(rows) == 3
    for row in rows:
        objects = [box(thing["category"], *thing["bbox"]) for thing in row["objects"]]
        measure = Fitted({"it": row["captions"]}, {"it": objects}).measure
        found = measure._truth(Candidate("it", "", row["captions"], {"objects": objects}))
        assert found["whole"] == set(true[str(row["image_id"])])


def test_the_list_is_in_the_key_and_its_place_is_not(tmp_path: Path) -> None:
    copied, other = tmp_path / "words.txt", tmp_path / "other.txt"
    copied.write_text(OURS.read_text())
    other.write_text(OURS.read_text().replace("feline, ", ""))
    identities = [Chair(Chair.Settings(synonyms=path)).identity() for path in (OURS, copied, other)]
    assert identities[0] == identities[1] != identities[2]


def test_input_is_checked(measure: Fitted, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'3' has a caption but no references"):
        measure.score({"3": "a dog"})
    with pytest.raises(ValueError, match="there are no captions"):
        measure.corpus({})
    with pytest.raises(ValueError, match="these have none: name a corpus with COCO's boxes"):
        Fitted({"1": ["a dog"]}, {"1": []})
    with pytest.raises(ValueError, match='no category of COCO "catt"; did you mean "cat"'):
        Fitted({"1": ["a dog"]}, {"1": [box("catt")]})
    with pytest.raises(FileNotFoundError, match="no file of synonyms"):
        Fitted({"1": ["a dog"]}, {"1": [box("dog")]}, synonyms=tmp_path / "none.txt")
    (twice := tmp_path / "twice.txt").write_text("cat, tom\ndog, tom\n")
    with pytest.raises(ValueError, match='lists "tom" under cat and dog'):
        read_words(twice)


def test_the_shapes_of_scenes_are_the_worlds_own_words() -> None:
    words = read_words(Path(grammar.__file__).with_name("shapes.txt"))
    shapes = {(word,): shape for shape, some in grammar.WORDS["shape"].items() for word in some}
    assert shapes.items() <= words.items() and set(words.values()) == set(shapes.values())
