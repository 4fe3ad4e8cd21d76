"""Objects on S3: on a real server, on moto, and on one that misbehaves; boto3 says what is there."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from registry.garbage import LOOSE, Waste, sweep
from registry.health import Check, objects
from registry.store import bucket, places
from registry.store import objects as stores
from registry.store.database import connect
from registry.store.items import ItemStore
from registry.store.keys import digest
from registry.store.objects import ObjectStore
from tests.buckets import KEY, KINDS, Buckets, client

MISSING = "0" * 64


@pytest.fixture
def use(buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ObjectStore]:
    """``use("moto")`` is a store in a new bucket, and the environment is that of its users."""

    def use(kind: str, **other: str) -> ObjectStore:
        environment = buckets.new(kind) | other
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return ObjectStore(environment["PALIMPSEST_OBJECTS"])

    return use


def witness(store: ObjectStore) -> tuple[str, object]:
    """The name of a store's bucket, and a client of AWS's that looks into it."""
    return store.base.split("/")[2], client(KEY | {"AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"]})


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_is_written_once_whoever_comes_when(use, kind, monkeypatch):
    """A bucket with versions tells how often."""
    store = use(kind)
    name, aws = witness(store)
    aws.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    address = store.put(b"a page")
    with monkeypatch.context() as silent:
        silent.setattr(store.filesystem, "pipe_file", None)  # nothing is sent again
        assert [store.put(b"a page"), store.get(address)] == [address, b"a page"]
    store.filesystem.pipe_file(store.path(address), b"another, by one who saw nothing there a moment ago")
    others = [ObjectStore(store.base) for _ in range(4)]
    with ThreadPoolExecutor(4) as people:
        written = set(people.map(lambda other: other.put(b"of four at once"), others))
    assert written == {digest(b"of four at once")}
    versions = aws.list_object_versions(Bucket=name)["Versions"]
    expected = [f"objects/{one[:2]}/{one}" for one in sorted({address, *written})]
    assert sorted(version["Key"] for version in versions) == expected


@pytest.mark.parametrize("kind", ["disk", "memory", *KINDS])
def test_many_are_written_read_looked_for_and_removed(use, kind, tmp_path, monkeypatch):
    urls = {"disk": str(tmp_path / "objects"), "memory": "memory://many"}
    store = ObjectStore(urls[kind]) if kind in urls else use(kind)
    contents = [f"page {n}".encode() for n in range(40)]
    addresses = store.put_many([*contents, *contents[:9]])
    assert addresses == [digest(data) for data in (*contents, *contents[:9])]
    damaged, *whole = sorted(set(addresses))
    store.filesystem.rm_file(store.path(damaged))
    store.filesystem.pipe_file(store.path(damaged), b"scraped")

    found = dict(store.get_many([MISSING, *addresses]))

    assert list(found) == [MISSING, *addresses[:40]], "each once, in their order"
    assert {one: found[one] for one in whole} == {digest(data): data for data in contents if digest(data) != damaged}
    assert isinstance(found[MISSING], FileNotFoundError) and isinstance(found[damaged], ValueError)
    assert store.held([MISSING, *addresses]) == set(addresses) == store.sizes().keys()
    monkeypatch.setattr(stores, "LISTED", 10)
    if store.bucket:
        monkeypatch.setattr(store.filesystem, "exists", None)  # so many are looked for in a listing
    assert store.held([MISSING, *addresses]) == set(addresses)
    store.remove(MISSING, *addresses[1:40])
    assert store.sizes() == {addresses[0]: len(contents[0])}


def test_what_nothing_needs_is_collected(use, tmp_path):
    store = ItemStore(connect(f"sqlite:///{tmp_path}/registry.db"), use("seaweedfs"))
    store.objects.put_many([b"one", b"another"])
    assert sweep(store, [], timedelta(days=1), remove=True) == [], "they are young"
    assert sweep(store, [], timedelta(days=-1), remove=True) == [Waste(LOOSE, 0, 2, 10)]
    assert store.objects.sizes() == {}


def test_a_large_object_is_sent_in_parts(use, monkeypatch):
    store = use("seaweedfs")
    name, aws = witness(store)
    data = bytes(6 * 2**20)
    monkeypatch.setattr(bucket, "LARGE", len(data))
    address = store.put(data)
    assert store.get(address) == data
    assert "-" in aws.head_object(Bucket=name, Key=f"objects/{address[:2]}/{address}")["ETag"], "as S3 marks such"


def test_a_profile_is_as_good_as_a_key(use, monkeypatch, tmp_path):
    store = use("seaweedfs")
    (tmp_path / "config").write_text(
        f"[profile team]\nregion = us-east-1\nendpoint_url = {os.environ['AWS_ENDPOINT_URL']}\n"
    )
    names = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
    (tmp_path / "credentials").write_text("[team]\n" + "".join(f"{name.lower()} = {KEY[name]}\n" for name in names))
    for name in (*KEY, "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    with pytest.raises(PermissionError, match="There are no credentials for S3; set AWS_ACCESS_KEY_ID and"):
        store.put(b"a page")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(PermissionError, match=r"No credentials for S3: .*nobody"):
        store.put(b"a page")
    monkeypatch.setenv("AWS_PROFILE", "team")
    assert store.get(store.put(b"a page")) == b"a page"


def said(url: str) -> OSError:
    """What is told by each way to a bucket that cannot be used: never that an object is missing, or damaged."""
    found = []
    for ask in (lambda s: s.get(MISSING), lambda s: s.put(b""), lambda s: s.held([MISSING]), lambda s: s.sizes()):
        with pytest.raises(OSError) as raised:
            ask(ObjectStore(url))
        found.append(raised.value)
    assert len({(type(one), str(one)) for one in found}) == 1
    assert not isinstance(found[0], FileNotFoundError | FileExistsError)
    [check] = objects(None, ObjectStore(url), False)
    assert check == Check(
        "objects", "problem", f"{places.objects_url()} cannot be written to: {found[0]}", check.advice
    )
    assert "\n" not in str(found[0]) and KEY["AWS_SECRET_ACCESS_KEY"] not in str(found[0])
    return found[0]


@pytest.mark.parametrize(
    ("other", "kind", "words"),
    [
        ({}, OSError, "There is no bucket s3://nobody on http://127.0.0.1:"),
        ({"AWS_ACCESS_KEY_ID": "ada"}, PermissionError, "knows no such access key; set AWS_ACCESS_KEY_ID"),
        ({"AWS_SECRET_ACCESS_KEY": "guessed"}, PermissionError, "finds that the secret key is wrong; set"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, ConnectionError, "http://127.0.0.1:9 does not answer for s3://"),
    ],
)
def test_a_bucket_that_cannot_be_used_says_why(use, monkeypatch, other, kind, words):
    store = use("seaweedfs", **other)
    url = store.base if other else "s3://nobody/objects"
    monkeypatch.setenv("PALIMPSEST_OBJECTS", url)
    error = said(url)
    assert (type(error), words in str(error)) == (kind, True), error


EMPTY = '<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'


@contextmanager
def misbehaving(*replies: int | tuple[int, str], certificate: Path | None = None) -> Iterator[str]:
    """The address of a server that gives these replies, one a request and the last to all others; 0 hangs up."""
    left = itertools.chain(replies, itertools.repeat(replies[-1]))

    class Reply(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            given = next(left)
            status, body = given if isinstance(given, tuple) else (given, "")
            if not status:
                self.close_connection = True
                return
            if re.fullmatch(r"\w+", body):
                body = f"<Error><Code>{body}</Code><Message>so it is</Message></Error>"
            self.send_response(status)
            for header in (
                ("content-length", len(body)),
                ("last-modified", "Mon, 06 Jul 2026 00:00:00 GMT"),
                ("etag", "x"),
            ):
                self.send_header(*map(str, header))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body.encode())

        do_PUT = do_HEAD = do_GET

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Reply) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        yield "http{}://{}:{}".format("s" * bool(certificate), *server.server_address)
        server.shutdown()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ObjectStore]:
    def served(address: str) -> ObjectStore:
        for name, value in (KEY | {"AWS_ENDPOINT_URL": address, "PALIMPSEST_OBJECTS": "s3://team/o"}).items():
            monkeypatch.setenv(name, value)
        return ObjectStore("s3://team/o")

    return served


def test_a_server_that_does_not_know_conditions_is_written_to_without(served):
    """S3 says NotImplemented, with 501 or 400, of headers that are unknown. It is asked so once, and never again."""
    unknown, missing = (400, "NotImplemented"), 404
    with misbehaving((200, EMPTY), missing, unknown, 200, missing, 200, 500) as address:
        store = served(address)
        assert [store.put(data) for data in (b"a page", b"another")] == [digest(b"a page"), digest(b"another")]


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("RequestTimeTooSkewed", PermissionError, "The clocks of http.* differ .* UTC here"),
        ("AccessDenied", PermissionError, "whoever owns it must allow s3:ListBucket, s3:GetObject, s3:PutObject and"),
        ("ExpiredToken", PermissionError, "have expired or are damaged; get new ones"),
        ("AuthorizationHeaderMalformed", OSError, "is in another region than was asked; set AWS_DEFAULT_REGION"),
        ("KeyTooLongError", OSError, "s3://team cannot be used: 400, KeyTooLongError, so it is"),
    ],
)
def test_what_a_server_refuses_is_told_in_a_sentence(served, code, kind, words):
    with misbehaving((403 if kind is PermissionError else 400, code)) as address:
        served(address)
        error = said("s3://team/o")
    assert type(error) is kind and re.search(words, str(error)), error


def test_who_may_look_and_not_write_is_told(served):
    with misbehaving((200, EMPTY), 404, (403, "AccessDenied")) as address, pytest.raises(PermissionError, match="must"):
        served(address).put(b"a page")


def test_a_server_that_is_busy_is_asked_again(served):
    page = (200, "of a page")
    with misbehaving((503, "SlowDown"), (200, EMPTY), 0, (500, "InternalError"), page) as address:
        assert served(address).get(digest(b"of a page")) == b"of a page"


def test_a_server_that_stays_busy_may_be_tried_again(served):
    with misbehaving((503, "SlowDown")) as address, pytest.raises(ConnectionError, match="team .503, SlowDown, so it"):
        served(address).get(MISSING)


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("AWS_ENDPOINT_URL", "127.0.0.1:9", "begins with https:// or http://; AWS_ENDPOINT_URL's does not"),
        ("AWS_CA_BUNDLE", "nowhere.pem", "No such file or directory: 'nowhere.pem' See AWS_CA_BUNDLE."),
        ("AWS_CA_BUNDLE", __file__, "No certificates found .* See AWS_CA_BUNDLE."),
    ],
)
def test_a_wrong_setting_does_not_pass_for_a_missing_object(served, monkeypatch, setting, value, words):
    served("http://127.0.0.1:9")
    monkeypatch.setenv(setting, value)
    assert re.search(words, str(said("s3://team/o")))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here to make a certificate")
def test_a_server_may_have_a_certificate_of_the_house(served, monkeypatch, tmp_path):
    made = tmp_path / "certificate"
    command = [
        "openssl",
        "req",
        "-x509",
        "-nodes",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-subj",
        "/CN=palimpsest",
    ]
    for extension in ("basicConstraints=critical,CA:FALSE", "subjectAltName=IP:127.0.0.1"):
        command += ["-addext", extension]
    subprocess.run([*command, "-keyout", made, "-out", tmp_path / "public"], check=True, capture_output=True)
    made.write_text(made.read_text() + (tmp_path / "public").read_text())
    with misbehaving((200, EMPTY), (200, "of a page"), certificate=made) as address:
        with pytest.raises(ConnectionError):
            served(address).get(MISSING)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "public"))
        assert served(address).get(digest(b"of a page")) == b"of a page"


@pytest.mark.parametrize(
    "url", ["s3://ada:never-to-be-seen@team/objects", "s3:///objects", "s3://a team/objects", "s3://team/o?key=x"]
)
def test_a_key_has_no_place_in_a_url(url):
    with pytest.raises(
        ValueError, match="s3://BUCKET/FOLDER, and no more; the key is set in AWS_ACCESS_KEY_ID"
    ) as error:
        ObjectStore(url)
    assert "never" not in str(error.value)


def test_a_secret_is_hidden_wherever_it_turns_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr/et+key")
    assert places.hidden(f"{Path('x')}: s3cr/et+key") == "x: ***"
