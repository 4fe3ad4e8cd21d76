"""A password in the registry's URL goes to the database and nowhere else."""

from __future__ import annotations

import logging

import pytest
from sqlalchemy import make_url
from typer.testing import CliRunner

from palimpsest import app
from registry.store.dag import STAGES
from registry.store.database import connect
from registry.store.places import registry_url
from stages.engine.loop import execute
from stages.engine.node import Node
from stages.engine.tasks import Outcome, Task

SECRET = "s3cr3t-p4ssw0rd"


@pytest.fixture
def checkout(new_database, tmp_path, monkeypatch, caplog):
    """A checkout whose registry has a password, with every logger at its most talkative."""
    url = make_url(new_database("postgresql", migrated=True)).set(password=SECRET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PALIMPSEST_REGISTRY", url.render_as_string(hide_password=False))
    for name in ("MLFLOW_TRACKING_URI", "PALIMPSEST_OBJECTS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dvc.yaml").touch()
    for logger in (None, "sqlalchemy"):
        caplog.set_level(logging.DEBUG, logger)
    return tmp_path


class Cat:
    def load(self):
        return "cpu"

    def compute(self, tasks, seeds):
        return [Outcome({"caption": "a cat"}) for _ in tasks]


def test_neither_logs_nor_files_nor_mlflow_hear_of_it(checkout, caplog, capfd):
    columns = dict.fromkeys(STAGES["caption"].axes)
    tasks = [("part-00.parquet", [Task("scenes", "s", columns, {"sample": "s"})])]
    node = Node(
        stage=STAGES["caption"], entry="blip", settings={"adapter": "blip"}, study="small", total=1, plan=tasks,
        worker=Cat(),
    )  # fmt: skip
    copied = CliRunner().invoke(app, ["registry", "copy", "sqlite:///backup.db"])
    assert copied.exit_code == 0
    assert "psycopg.Connection" in caplog.text, "the pool tells of its connections"
    assert execute(node)["computed"] == 1
    written = [path for path in checkout.rglob("*") if path.is_file()]
    assert {path.name for path in written} >= {"mlflow.db", "caption@blip.json", "backup.db", "part-00.parquet"}
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []
    said = capfd.readouterr()
    assert SECRET not in caplog.text + said.out + said.err + copied.output


@pytest.mark.parametrize("change", [{"database": "nobodys"}, {"port": 1}, {"username": "nobody"}])
def test_errors_do_not_tell_it(checkout, caplog, monkeypatch, change):
    url = make_url(registry_url()).set(**change)
    monkeypatch.setenv("PALIMPSEST_REGISTRY", url.render_as_string(hide_password=False))
    done = CliRunner().invoke(app, ["registry", "published"])
    assert done.exit_code == 2
    assert done.stderr.startswith("palimpsest: The registry cannot be opened: ")
    assert SECRET not in done.output + caplog.text


def test_engines_do_not_show_it(checkout):
    for url in (registry_url(), f"postgresql://me@host/db?password={SECRET}"):
        engine = connect(url)
        assert SECRET not in f"{engine} {engine!r} {engine.url} {engine.url!r}"
