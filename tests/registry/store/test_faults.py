"""What people are told when something gives way: one sentence, without a password, whoever's error it is."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from safetensors import SafetensorError
from safetensors.numpy import load_file

from registry.store.database import connect, migrate_when_behind
from registry.store.faults import passes, sentence, told
from registry.store.places import database, hidden
from registry.tracking.asking import experiments
from registry.tracking.runs import Tracker
from stages.engine.loop import command

SECRET = "s3cr3t@t4il:p0rt"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").touch()
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def raised(function, *arguments) -> Exception:
    with pytest.raises(Exception) as caught:
        function(*arguments)
    return caught.value


def test_each_store_is_named_by_its_own_name(here):
    (here / "damaged.db").write_bytes(b"SQLite format 3\0" + b"?" * 5000)
    registry = raised(lambda: migrate_when_behind(connect("sqlite:///damaged.db")))
    assert sentence(registry).startswith("The registry cannot be used: ")
    (here / ".palimpsest").mkdir()
    (here / ".palimpsest/mlflow.db").write_bytes(b"SQLite format 3\0" + b"?" * 5000)
    tracking = raised(experiments)
    assert sentence(tracking).startswith(f"MLflow's store sqlite:///{here}/.palimpsest/mlflow.db cannot be used: ")
    (here / "model.safetensors").write_bytes(b"\0" * 4)
    checkpoint = raised(load_file, here / "model.safetensors")
    assert isinstance(checkpoint, SafetensorError)
    assert sentence(checkpoint).startswith("A checkpoint cannot be read: ")


def test_a_read_only_registry_is_a_sentence(here):
    engine = connect(f"sqlite:///{here}/registry.db")
    migrate_when_behind(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")
        error = raised(connection.exec_driver_sql, "DELETE FROM study")
        connection.exec_driver_sql("PRAGMA query_only=OFF")
    assert sentence(error) == (
        "The registry cannot be used: attempt to write a readonly database. `palimpsest doctor` says more."
    )


def test_what_is_a_fault_of_ours_shows_where_it_was():
    assert sentence(KeyError("x")) is None
    said = told(raised(lambda: {}["x"]))
    assert said.startswith("Traceback") and said.endswith("KeyError: 'x'")


@pytest.mark.parametrize(
    ("error", "may"),
    [
        (ConnectionError("the endpoint answered 503"), True),
        (TimeoutError(), True),
        (MemoryError(), True),
        (OSError(28, "No space left on device"), True),
        (RuntimeError("I/O error: No space left on device (os error 28)"), True),  # as safetensors says it
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"), True),
        (ValueError("the endpoint answered 400"), False),
        (FileNotFoundError(2, "No such file"), False),
        (OSError("image file is truncated"), False),
    ],
)
def test_which_failures_a_retry_may_mend(error, may):
    assert passes(error) is may


@pytest.fixture
def failing(monkeypatch) -> Iterator[str]:
    """The address, with a password, of a tracking server that says that it is there, and fails after that."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = 200 if self.path == "/health" else 500
            data = json.dumps(
                {"error_code": "INTERNAL_ERROR", "message": f"{self.headers['host']} has failed"}
            ).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://ada:{SECRET}@127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_tracking_server_that_fails_midway_tells_no_password(here, failing, monkeypatch, capfd):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", failing)
    monkeypatch.setattr("sys.argv", ["stage"])
    with pytest.raises(SystemExit) as ended:
        command(lambda: Tracker("small/stages", "small", "degrade"))
    written = f"{ended.value.code}{capfd.readouterr()}"
    assert str(ended.value.code).startswith("MLflow's store http://127.0.0.1:")
    for piece in (SECRET, *SECRET.replace(":", "@").split("@")):
        assert piece not in written


@pytest.mark.parametrize("url", [f"ssh://ada:{SECRET}@host/objects", f"s3://{SECRET}@bucket", f"x://a@b:{SECRET}@h/p"])
def test_pieces_of_a_password_are_hidden_too(url, monkeypatch):
    """Libraries take what stands behind an unescaped @ for the host, and what stands behind : for the port."""
    assert not {*SECRET.replace(":", "@").split("@")} & {*hidden(f"no {url}").replace("/", "@").split("@")}
    monkeypatch.setenv("PALIMPSEST_OBJECTS", url)
    assert hidden("cannot resolve t4il, port p0rt") == "cannot resolve ***, port ***"
    with pytest.raises(ValueError) as refused:
        database(f"postgresql://ada:{SECRET}@host/team")
    assert not any(piece in str(refused.value) for piece in SECRET.split("@"))


def test_tracker_that_cannot_be_closed_does_not_hide_what_went_wrong(here, monkeypatch, caplog):
    tracker = Tracker("small/stages", "small", "degrade")

    def gone(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(tracker.client, "set_terminated", gone)
    tracker.fail()
    assert "MLflow does not take that degrade ended: disk I/O error" in caplog.text
