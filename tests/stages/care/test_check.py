"""What is wrong with a study is one sentence before anything runs, in the words of the file in which it stands."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from palimpsest import app
from registry.store.params import parsed
from stages.care.check import check
from stages.engine.study import read_study
from tests.imports import ROOT

PARAMS = """study: tiny
models: {}
corpora:
  mine: {adapter: folder, path: pictures}
degradations:
  centre-mask: {kind: zero}
inpainters:
  telea: {adapter: telea}
captioners: {}
recaptioners: {}
captions: {}
encoders: {}
fidelity: {}
quality: {}
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of one picture."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (8, 8)).save("pictures/a.png")
    Path("pictures/captions.csv").write_text("file,caption\na.png,A.\n")
    Path("params.yaml").write_text(PARAMS)
    return tmp_path


def refused(change: str = "", to: str = "") -> str:
    """The sentence of a study in which something is changed; `use` and `plan` say the same."""
    (Path("studies")).mkdir(exist_ok=True)
    Path("studies/mine.yaml").write_text(PARAMS.replace(change, to) if change else PARAMS)
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        check(read_study(Path("studies/mine.yaml")))
    said = str(caught.value)
    for command in ("use", "plan"):
        done = CliRunner().invoke(app, [command, "studies/mine.yaml"])
        assert done.exit_code == 2 and said in done.stderr
    assert "params.yaml" not in said
    return said


def test_a_whole_study_passes(checkout):
    check(read_study())


def test_prompts_that_are_not_there_are_told_with_where_to_get_them(checkout):
    prompts = "quality: {}\nprompts: {colours: {adapter: t2i-compbench, path: nowhere}}\n"
    said = "There is no folder nowhere for prompts.colours in studies/mine.yaml. Correct its path; its files: https://"
    assert refused("quality: {}\n", prompts).startswith(said)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/no/such/folder", "There is no folder /no/such/folder for corpora.mine in studies/mine.yaml"),
        ("~/pictures", f"DVC reads no ~; write {Path('~/pictures').expanduser()}"),
        (".", "holds data/, where results go; give a folder of its own"),
        ("..", "holds data/, where results go; give a folder of its own"),
    ],
)
def test_a_path_that_dvc_cannot_watch_is_told(checkout, path, sentence):
    assert sentence in refused("path: pictures", f"path: {path}")


def test_files_on_which_dvc_would_end_or_hang_are_named(checkout):
    pipe = checkout / "pictures/pipe"
    os.mkfifo(pipe)
    assert "pictures/pipe is neither a file nor a folder but a pipe" in refused()
    pipe.unlink()
    link = checkout / "pictures/gone.png"
    link.symlink_to("/nonexistent")
    assert "pictures/gone.png is a link to /nonexistent, where nothing is" in refused()
    link.unlink()
    try:
        Path(os.fsdecode(os.fsencode(checkout / "pictures") + b"/caf\xe9.png")).touch()
    except OSError:
        pytest.skip("this file system takes no such name")
    assert "pictures/caf\\udce9.png has a name that is not UTF-8; rename it" in refused()


@pytest.mark.parametrize(
    ("change", "to", "sentence"),
    [
        (
            "  telea: {adapter: telea}",
            "  telea: {adapter: telea}\n  telea: {adapter: telea}",
            "duplicate key",
        ),
        ("  mine:", "  1e3:", "1000.0"),
        ("  mine:", "  on: {adapter: scenes, count: x}\n  mine:", '"count"'),
        ("  telea:", "  none:", "inpainters has an entry called 'none'"),
        ("  mine:", "  all:", "corpora has an entry called 'all'"),
        ("  centre-mask:", "  original:", "degradations has an entry called 'original'"),
    ],
)
def test_what_dvc_reads_otherwise_and_names_of_our_own_are_refused(checkout, change, to, sentence):
    assert sentence in refused(change, to)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("bild,text\na.png,A.\n", "has the columns bild, text"),
        ("file,caption\nb.png,B.\n", "Corpus mine holds no usable sample. The first problem: There is no picture at"),
        (None, "Corpus mine holds no usable sample."),
    ],
)
def test_a_corpus_that_plan_refuses_is_not_taken_into_use(checkout, table, sentence, monkeypatch):
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    (checkout / "dvc.yaml").touch()
    for file in (checkout / "pictures").iterdir():
        file.unlink()
    if table:
        (checkout / "pictures/captions.csv").write_text(table)
    for command in ("plan", "use"):
        done = CliRunner().invoke(app, [command, "params.yaml"])
        assert done.exit_code == 2 and sentence in done.stderr, command


def test_numbers_are_those_of_yaml_1_2_as_in_dvc(checkout):
    from dvc.utils.serialize import parse_yaml

    text = "{a: 010, b: yes, c: 1e-5, d: 0o10, e: 1:30, f: on, g: 0x10, h: null, i: ~, j: 2026-01-02}"
    assert parsed(text, "params.yaml") == parse_yaml(text, "params.yaml")
    assert parsed(text, "params.yaml")["a"] == 10
    Path("params.yaml").write_text(PARAMS.replace("{adapter: folder, path: pictures}", "{adapter: scenes, seed: 010}"))
    assert read_study().entry("corpora", "mine")["seed"] == 10


def test_sections_without_entries_leave_the_folders_that_dvc_looks_for(checkout, monkeypatch):
    """Without them `index` ended with "No such file or directory: data/represent"."""
    monkeypatch.setattr("registry.store.ending.run", lambda *_: 3)
    Path("dvc.yaml").touch()
    subprocess.run(["git", "init", "--quiet"], check=True)
    assert CliRunner().invoke(app, ["repro"]).exit_code == 3
    made = {folder.name for folder in Path("data").iterdir()}
    looked = {"represent", "project", "fidelity", "quality"}
    assert made == looked | {"caption", "recaption", "compose", "prompt", "train", "paint", "answer"}


def test_the_default_study_is_there_to_go_back_to():
    assert (ROOT / "studies/default.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()


@pytest.mark.parametrize("file", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda file: file.name)
def test_a_shipped_study_lacks_nothing_but_files_to_be_fetched(file, monkeypatch):
    """Where these are not there, it names the study's own file and where to get them, or the checkpoint or adapter that
    is to be made."""
    monkeypatch.chdir(ROOT)
    try:
        check(read_study(file))
    except FileNotFoundError as error:
        corpus = f"in {file}" in str(error) and "palimpsest corpora" in str(error)
        assert corpus or str(error).startswith(("checkpoint './checkpoints/", "the adapter './checkpoints/"))


def test_sections_that_are_absent_are_empty_and_are_written_down_for_dvc(checkout, monkeypatch):
    """DVC's dvc.yaml names every section; a study need not."""
    monkeypatch.setattr("registry.store.ending.run", lambda *_: 3)
    Path("dvc.yaml").touch()
    subprocess.run(["git", "init", "--quiet"], check=True)
    Path("params.yaml").write_text("".join(PARAMS.splitlines(True)[:6]) + "# no more")
    check(read_study())
    done = CliRunner().invoke(app, ["repro"])
    assert "params.yaml now has the sections models" not in done.output and "encoders" in done.output
    assert read_study().entries("encoders") == {} and "# no more\n" in Path("params.yaml").read_text()
    assert "now has the sections" not in CliRunner().invoke(app, ["repro"]).output


def test_a_study_without_all_sections_can_be_used_and_left_again(checkout):
    short = "".join(PARAMS.splitlines(True)[:6])
    Path("studies").mkdir()
    Path("studies/short.yaml").write_text(short)
    Path("studies/long.yaml").write_text(PARAMS)
    for name in ("short", "long", "short"):
        done = CliRunner().invoke(app, ["use", f"studies/{name}.yaml"])
        assert done.exit_code == 0, done.output
        assert all(f"{section}:" in Path("params.yaml").read_text() for section in ("models", "encoders", "quality"))
