"""Where the registry, the objects and the MLflow store live.

Everything is inside the checkout, under ``.palimpsest/``, until a team says otherwise:

==========================  ================================================  ===================================
variable                    meaning                                           default
==========================  ================================================  ===================================
``PALIMPSEST_REGISTRY``     SQLAlchemy URL of the registry                    ``sqlite:///.palimpsest/registry.db``
``PALIMPSEST_OBJECTS``      the object store: a folder, ``s3://BUCKET/…`` or  ``.palimpsest/objects``
                            another fsspec URL
``MLFLOW_TRACKING_URI``     MLflow tracking URI                               ``sqlite:///.palimpsest/mlflow.db``
``PALIMPSEST_ARTIFACTS``    where MLflow keeps files, if its tracking URI is   ``.palimpsest/artifacts``
                            a database; a tracking server says for itself
==========================  ================================================  ===================================

``postgresql://USER@HOST/DATABASE`` needs the extra ``postgres``. A password is better kept in ``~/.pgpass`` or
``PGPASSWORD`` than in a URL; neither is ever shown. ``s3://`` needs the extra ``s3``; its server and key are found as
``aws`` and DVC find them: in ``AWS_ENDPOINT_URL``, ``AWS_DEFAULT_REGION``, ``AWS_ACCESS_KEY_ID`` and
``AWS_SECRET_ACCESS_KEY``, or by ``AWS_PROFILE``; they are written nowhere.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from sqlalchemy import URL

CREDENTIALS = re.compile(
    r"(?<=://)(?!USER@)(?:[^\s/]*:\S*@|[^\s/]+@)|(?<=[?&])\w*(?:password|secret|token|key|sig)\w*=[^\s&]*", re.I
)


SETTINGS = ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI", "PALIMPSEST_ARTIFACTS")
SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
SHORTEST = 4
"""Characters of a piece of a password that is hidden; shorter ones stand in many words."""

RUN_LINKS = Path("data/runs")
"""Where each stage's execution leaves what it did, in a checkout."""


def root() -> Path:
    """The checkout: the folder of ``dvc.yaml``, looked for from the working directory upwards.

    Raises ``FileNotFoundError`` where there is none.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file():
            return folder
    raise FileNotFoundError(f"No dvc.yaml in {here} or above it; change to a Palimpsest checkout and run again.")


def home() -> Path:
    """The folder of the default stores; made when missing."""
    folder = root() / ".palimpsest"
    folder.mkdir(exist_ok=True)
    return folder


def registry_url() -> str:
    return os.environ.get("PALIMPSEST_REGISTRY") or file_url(home() / "registry.db")


def objects_url() -> str:
    return os.environ.get("PALIMPSEST_OBJECTS") or str(home() / "objects")


def tracking_uri() -> str:
    if given := os.environ.get("MLFLOW_TRACKING_URI"):
        return given
    url = file_url(home() / "mlflow.db")  # of sqlite:/// MLflow makes the folder, as it is written there
    return url if unquote(url) == url else url.replace("sqlite", "sqlite+pysqlite", 1)


def file_url(path: Path) -> str:
    """The URL of an SQLite file, whatever characters its path has.

    >>> file_url(Path("/tmp/50% done?/registry.db"))
    'sqlite:////tmp/50%25 done%3F/registry.db'
    """
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(path)).render_as_string()


def file_of(url: str) -> Path | None:
    """The file of an SQLite database, absolute; None where the URL is another's."""
    path = database(url).database if url.startswith("sqlite") else None
    return None if path in (None, "", ":memory:") else Path(path).absolute()


def absolute(url: str) -> str:
    """A place as it can be named from every folder; what is no file of this machine stays as it is.

    >>> absolute("sqlite:////tmp/registry.db"), absolute("s3://bucket/objects"), absolute("/tmp/objects")
    ('sqlite:////tmp/registry.db', 's3://bucket/objects', '/tmp/objects')
    """
    if file := file_of(url):
        return database(url).set(database=str(file)).render_as_string(hide_password=False)
    return url if "://" in url else str(Path(url).absolute())


def artifacts_url() -> str | None:
    """URL under which MLflow keeps the files of a new experiment; None where a tracking server decides."""
    if tracking_uri().startswith(("http:", "https:")):
        return None
    return os.environ.get("PALIMPSEST_ARTIFACTS") or (home() / "artifacts").as_uri()


def hidden(text: str) -> str:
    """A text without the credentials of the URLs in it: no user, no password, no token; our own advice says USER.

    >>> hidden("no answer from postgresql://ada:s3cret@db.example:5432/team?sslmode=require&password=s3cret")
    'no answer from postgresql://db.example:5432/team?sslmode=require&'
    >>> hidden("ssh://ada:s3@cret/t:ail@host/objects, http://s3cret@tail@host, sqlite:////tmp/ada@home/registry.db")
    'ssh://host/objects, http://host, sqlite:////tmp/ada@home/registry.db'
    """
    text = CREDENTIALS.sub("", text)
    for secret in sorted(passwords(), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def passwords() -> set[str]:
    """The passwords in the URLs of settings, and the pieces into which libraries cut those that hold ``@``, ``:`` or
    ``/`` as they are: they quote these pieces as hosts, ports and paths; and what is secret of the key to a bucket."""
    found = {os.environ.get(name, "") for name in SECRETS}
    for name in SETTINGS:
        given = os.environ.get(name, "").partition("://")[2].rpartition("@")[0]
        if "@" in given or ":" in given:
            secret = re.sub("^[^@:/]*:", "", given)  # without a user's name
            found |= {secret, unquote(secret), *re.split("[@:/]", secret)}
    return {one for one in found if len(one) >= SHORTEST}


def database(url: str) -> URL:
    """The URL of a registry as SQLAlchemy takes it: psycopg 3 for PostgreSQL, and the password masked.

    Raises ``ValueError``, which never shows the URL, where it cannot be a registry's or psycopg is missing.

    >>> database("postgresql://me@host/team?password=secret")
    postgresql+psycopg://me:***@host/team
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        found = make_url(url.replace("postgres://", "postgresql://", 1))
        kind = found.get_backend_name()
    except (ArgumentError, ValueError):  # it may quote a piece of a password
        kind = None
    if kind not in ("sqlite", "postgresql") or "@" in (found.host or ""):  # the tail of a password, then
        raise ValueError(
            "The URL of the registry is none of SQLite or PostgreSQL; write sqlite:///FILE or "
            "postgresql://USER@HOST/DATABASE, with : and @ in a password as %3A and %40."
        )
    if kind == "sqlite":
        return found
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"The registry is a PostgreSQL database, and psycopg cannot be imported ({error}); "
            "install the extra: pip install -e '.[postgres]'."
        ) from None
    if passwords := found.normalized_query.get("password"):  # there SQLAlchemy would show it
        found = found.set(password=passwords[-1]).difference_update_query(["password"])
    return found.set(drivername="postgresql+psycopg")
