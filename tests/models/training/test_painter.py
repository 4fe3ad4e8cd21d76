"""The pocket painter: what its descriptions say, what its judge sees, and that it learns what the pipeline computes."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler

from models.detectors.scenes import seen
from models.measures.prompted.scenes import kept
from models.pocket import WEIGHTS as POCKET
from models.pocket.probe import load
from models.training.descriptions import described, told, worded
from models.training.painted import judge
from models.training.painter import LENGTH, WEIGHTS, WORDED, Sd3Painter, ids_of
from models.training.recipe import fit, to_signed
from models.worlds import example
from models.worlds.grammar import WORDS, parse, relation

SCENES = [example("scenes", 3, index) for index in range(30)]


def _matches(thing, objects):
    return [k for k, one in enumerate(objects) if all(one[name] == value for name, value in thing.items())]


@pytest.mark.parametrize("way", [worded, told])
def test_what_a_description_says_is_true_of_its_scene(way):
    for number, scene in enumerate(SCENES):
        _, said = way(scene.graph, np.random.default_rng(number))
        objects = scene.graph["objects"]
        assert 1 <= len(said["objects"]) <= len(objects)
        assert said["background"] in (None, scene.graph["background"])
        places = [_matches(thing, objects) for thing in said["objects"]]
        assert all(places)
        for one in said["relations"]:
            assert any(
                relation(scene.graph, i, j) == one["predicate"]
                for i in places[one["subject"]] for j in places[one["object"]] if i != j
            )  # fmt: skip


def test_the_parser_of_the_world_finds_in_the_text_what_it_is_said_to_say():
    """Each named attribute has its word in the text, and a sentence of one object reads as that object."""
    rng = np.random.default_rng(0)
    for scene in SCENES:
        text, said = told(scene.graph, rng)
        words = text.replace(".", " ").replace(",", " ").split()
        for thing in said["objects"]:
            assert all(set(WORDS[name][value]) & set(words) for name, value in thing.items())
        if len(text.split(". ")) == 1 and len(said["objects"]) == 1 and "shape" in said["objects"][0]:
            assert parse(text)["objects"] == said["objects"]


def test_the_judge_finds_everything_in_the_scenes_themselves_and_chance_in_others():
    found = [told(scene.graph, np.random.default_rng(k)) for k, scene in enumerate(SCENES)]
    pictures, probe = [scene.picture for scene in SCENES], load(POCKET / "probe")
    own = judge(lambda texts: pictures, found, probe)
    other = judge(lambda texts: pictures[1:] + pictures[:1], found, probe)
    assert own["attributes"] > 0.99 and own["relations"] == 1 and own["background"] == 1
    assert other["attributes"] < 0.6 and other["background"] < 0.5


def test_the_judge_sees_objects_where_they_are():
    for scene in SCENES[:10]:
        painted = seen(scene.picture, load(POCKET / "probe"))
        assert painted["background"] == scene.graph["background"]
        assert sorted(one["box"] for one in painted["objects"]) == sorted(
            tuple(one["box"]) for one in scene.graph["objects"]
        )


def test_an_object_that_is_not_there_has_nothing_of_what_was_said():
    box = {"box": (0, 0, 9, 9)}
    said = {
        "objects": [{"color": "red"}, {"color": "blue", "shape": "ring"}],
        "relations": [{"subject": 0, "predicate": "left of", "object": 1}],
        "background": "sky",
    }
    hits = kept(said, {"objects": [{"color": "blue", "shape": "ring"} | box], "background": "mint"})
    assert hits == {"attributes": [False, True, True], "relations": [False], "background": [False]}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A recipe of a few scenes with an untrained autoencoder, prepared."""
    root = tmp_path_factory.mktemp("painter")

    class Small(Sd3Painter):
        counts = {"scenes": 8}
        batch = {"cpu": 4}

    torch.manual_seed(0)
    AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 3, up_block_types=["UpDecoderBlock2D"] * 3,
        block_out_channels=(8, 8, 8), norm_num_groups=4,
    ).save_pretrained(root / "weights" / Small.vae_folder)  # fmt: skip
    made = Small(root / "build", root / "weights", [])
    model = made.build()
    made.prepare(model)
    return made, model.eval()


def test_what_is_learnt_is_what_the_pipeline_computes(recipe):
    """One Euler step from noise alone (sigma 1 to 0) is the noise less the flow that the loss compares."""
    made, model = recipe
    pipeline = made.pipeline(model)
    pipeline.scheduler = FlowMatchEulerDiscreteScheduler()
    texts = ["a red ring", "a small blue star on a sky background. it is striped."]
    noise = torch.randn(2, 4, 16, 16)
    painted = pipeline(
        prompt=texts, latents=noise, height=64, width=64, num_inference_steps=1, guidance_scale=1.0,
        max_sequence_length=1, output_type="latent",
    ).images  # fmt: skip
    with torch.no_grad():
        flow, named = model(noise, torch.ones(2), torch.from_numpy(ids_of(made.tokenizer, texts)).long())
    assert torch.allclose(painted, noise - flow, atol=1e-5)
    assert named.shape[:2] == (2, 64)


def test_the_latents_are_of_unit_variance_and_decode_to_the_scenes_the_autoencoder_makes(recipe):
    made, _ = recipe
    assert abs(float(made.latents.float().mean())) < 0.02 and abs(float(made.latents.float().std()) - 1) < 0.02
    with torch.no_grad():
        raw = made.vae.encode(to_signed(example("scenes", 1, 5).picture[None].copy())).latent_dist.mean
    again = made.latents[5:6].float() / made.vae.config.scaling_factor + made.vae.config.shift_factor
    assert float((again - raw).std()) < 0.05 * float(raw.std())  # bfloat16, and kept in float16


def test_ids_and_classes_are_those_of_the_scene(recipe):
    made, _ = recipe
    graph = example("scenes", 1, 5).graph
    text = described(graph, np.random.default_rng([0, 5]))
    assert made.ids.shape == (8, WORDED, LENGTH)
    assert made.ids[5, 0].tolist() == ids_of(made.tokenizer, [text])[0].tolist()
    x, y, w, h = graph["objects"][0]["box"]
    patch = (y + h // 2) // 8 * 8 + (x + w // 2) // 8
    assert made.classes[5, patch, 0] == 1 + list(WORDS["shape"]).index(graph["objects"][0]["shape"])


def test_a_step_moves_every_part_and_the_saved_pipeline_links_the_autoencoder(recipe, tmp_path):
    from diffusers import StableDiffusion3Pipeline

    made, _ = recipe
    untrained = made.build()
    torch.manual_seed(made.seed)
    before = {name: value.clone() for name, value in made.build().state_dict().items()}
    model, _ = fit(made, tmp_path / "c.pt", lambda figures, step: None, False, 2)
    after = model.state_dict()
    assert set(before) == set(untrained.state_dict())
    for part in ("transformer.proj_out.weight", "encoders.0.text_projection.weight", "encoders.1.text_model.embeddings"
                 ".token_embedding.weight", "naming.weight"):  # fmt: skip
        assert not torch.equal(before[part], after[part])
    folder = made.weights / made.folder
    made.save(model, folder)
    assert (folder / "vae" / WEIGHTS).is_symlink() and (folder / "vae" / WEIGHTS).exists()
    loaded = StableDiffusion3Pipeline.from_pretrained(folder, text_encoder_3=None, tokenizer_3=None)
    assert loaded.vae.config.shift_factor == made.shift
