from __future__ import annotations

import os
from pathlib import Path

import pytest

from models.adapters.checkpoints import identify

COMMIT = "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268"


def folder(root: Path, name: str, files: dict[str, str]) -> Path:
    for relative, text in files.items():
        path = root / name / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / name


def digest(path: Path) -> str:
    return identify(str(path))["checkpoint"]


def test_file_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc.pth").write_text("abc")
    # FIPS 180-2, appendix B.1: SHA-256("abc")
    expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert identify(str(tmp_path / "abc.pth")) == {"checkpoint": expected}


def test_folder_is_its_content_wherever_it_lies(tmp_path: Path) -> None:
    files = {"config.json": "{}", "unet/weights.safetensors": "w"}
    one, other = folder(tmp_path, "one", files), folder(tmp_path, "other", dict(reversed(files.items())))
    assert digest(one) == digest(other)


@pytest.mark.parametrize("ignored", ["README.md", "examples.png", ".gitattributes", ".cache/lock", "unet/README.md"])
def test_model_card_and_dotfiles_do_not_matter(tmp_path: Path, ignored: str) -> None:
    plain = folder(tmp_path, "plain", {"unet/weights.safetensors": "w"})
    carded = folder(tmp_path, "carded", {"unet/weights.safetensors": "w", ignored: "words"})
    assert digest(plain) == digest(carded)


@pytest.mark.parametrize(
    "files", [{"weights": "x"}, {"other": "w"}, {"weights": "w", "more": ""}, {"a/weights": "w"}], ids=str
)
def test_bytes_names_and_places_matter(tmp_path: Path, files: dict[str, str]) -> None:
    assert digest(folder(tmp_path, "one", {"weights": "w"})) != digest(folder(tmp_path, "other", files))


def test_change_is_seen_within_a_process(tmp_path: Path) -> None:
    path = folder(tmp_path, "one", {"weights": "w"})
    before = digest(path)
    (path / "weights").write_text("v")
    os.utime(path / "weights", ns=(1, 1))
    assert digest(path) != before


def test_hub_id_is_pinned_to_its_commit() -> None:
    assert identify("owner/name", COMMIT) == {"checkpoint": "owner/name", "revision": COMMIT}
    assert identify("bert-base-uncased", COMMIT[:7])["revision"] == COMMIT[:7]


@pytest.mark.parametrize(
    ("checkpoint", "revision", "message"),
    [
        ("owner/name", None, "hub id without a revision"),
        ("owner/name", "main", "'main' of checkpoint 'owner/name' is not a commit hash"),
        ("owner name", None, "neither an existing path nor a hub id"),
    ],
)
def test_unpinned_is_refused(checkpoint: str, revision: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        identify(checkpoint, revision)


def test_local_checkpoint_has_no_revision(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="remove the revision"):
        identify(str(folder(tmp_path, "one", {"weights": "w"})), COMMIT)


def test_missing_path_names_its_nearest_sibling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path, "weights/sbert", {"model.safetensors": "w"})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"did you mean 'weights/sbert'\?"):
        identify("weights/sbrt")
    with pytest.raises(FileNotFoundError, match=r"did you mean '.*/weights'\?"):
        identify(str(tmp_path / "weight" / "sbert"))
    with pytest.raises(FileNotFoundError, match="'weights' has no 'blip'"):
        identify("weights/blip")
    assert identify("weights/blip", COMMIT)["revision"] == COMMIT, "a commit says that a hub id is meant"


def test_empty_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no file"):
        identify(str(tmp_path))


@pytest.mark.parametrize("weights", ["pytorch_model.bin", "unet/model.ckpt", "weights.pt"])
def test_a_folder_of_pickled_weights_is_refused(tmp_path: Path, weights: str) -> None:
    made = folder(tmp_path, "one", {"config.json": "{}", weights: "w"})
    with pytest.raises(ValueError, match=f"has only pickled weights \\({weights}\\), which could run code when read"):
        identify(str(made))
    assert digest(folder(tmp_path, "one", {"model.safetensors": "w"})), "safetensors are read in their place"
