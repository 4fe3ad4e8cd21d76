"""A bucket on S3, AWS's or that of any server that speaks S3: MinIO, Ceph, SeaweedFS, R2.

Read and written with obstore, not with s3fs, which DVC uses: it takes a third to an eighth of the processor's time for
the same objects (``tests/bench/bench_s3.py``), is ready in a twentieth of a second in place of half a one, writes once
on every server, and tells an object that is missing from a bucket that is, or from a key that may not look.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config, S3Credential, S3Store

SCHEME = "s3://"
RETRIES, LONGEST = 10, timedelta(seconds=60)
"""Tries of a request that a busy, restarting or unreachable server did not answer, and how long they may take."""
AT_FIRST = 3
"""Tries of the very first request: whoever has typed a wrong address is told so within a second."""
ONE_REQUEST = "2m"
LARGE = 16 * 2**20
"""Bytes from which on an object is sent in parts, none of which takes as long as a request may."""
NEEDED = "s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject"
KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
UNKNOWN = "<Code>NotImplemented</Code>"
STATUS = re.compile(r"status code: (\d+)")
AWAY = ("429", "500", "502", "503", "504")
CODE = re.compile(r"<Code>(\w+)</Code>(?:\s*<Message>([^<]*)</Message>)?")


class Bucket:
    """The objects of a bucket, under those names of an fsspec file system that an object store uses.

    Paths are whole URLs. It is opened by the first that is asked of it; where it cannot be used, that raises
    ``ConnectionError`` (no answer), ``PermissionError`` (the key, its rights, or the clock) or another ``OSError`` in
    one sentence. ``FileNotFoundError`` means that an object is missing, and nothing else.
    """

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        if not re.fullmatch(r"[\w.-]+", where.netloc) or where.query:
            raise ValueError(f"The URL of a bucket is s3://BUCKET/FOLDER, and no more; the key is set in {KEYS}.")
        try:
            import obstore  # noqa: F401
        except ImportError as error:
            raise ValueError(
                f"The objects are on S3, and obstore cannot be imported ({error}); install the extra: "
                "pip install -e '.[s3]'."
            ) from None
        self.url, self.prefix = f"{SCHEME}{where.netloc}", where.path.strip("/")
        self._creates = True

    @cached_property
    def store(self) -> S3Store:
        from obstore.store import S3Store

        config, credentials = ({}, None) if os.environ.get("AWS_ACCESS_KEY_ID") else profile()
        client: ClientConfig = {"allow_http": True, "timeout": ONE_REQUEST}
        if (address := config.get("endpoint") or endpoint()) and not re.match(r"https?://[^/\s]+", address):
            raise OSError("The address of the S3 server begins with https:// or http://; AWS_ENDPOINT_URL's does not.")

        def opened(retries: int) -> S3Store:
            return S3Store(
                self.url.removeprefix(SCHEME),
                config=config,
                credential_provider=credentials,
                client_options=client,
                retry_config={"max_retries": retries, "retry_timeout": LONGEST},
            )

        try:
            if bundle := os.environ.get("AWS_CA_BUNDLE"):
                client["root_certificate"] = Path(bundle).read_bytes()
            first, later = opened(AT_FIRST), opened(RETRIES)
        except (ValueError, OSError) as error:
            raise OSError(f"{self.url} cannot be used: {error} See AWS_CA_BUNDLE.") from None
        with told(self.url):  # a look for what is not there tells all that can be wrong, and moves nothing
            list(first.list(f"{self.prefix}/.first".lstrip("/")))
        return later

    @contextmanager
    def asked(self, path: str = "") -> Iterator[S3Store]:
        store = self.store
        with told(self.url, path):
            yield store

    def exists(self, path: str) -> bool:
        try:
            self._head(path)
        except FileNotFoundError:
            return False
        return True

    def size(self, path: str) -> int:
        size: int = self._head(path)["size"]
        return size

    def modified(self, path: str) -> datetime:
        written: datetime = self._head(path)["last_modified"]
        return written

    def _head(self, path: str) -> Any:
        with self.asked(path) as store:
            return store.head(self._key(path))

    def cat_file(self, path: str) -> bytes:
        with self.asked(path) as store:
            return bytes(store.get(self._key(path)).bytes())

    def pipe_file(self, path: str, data: bytes) -> None:
        """Write an object, whole or not at all; one that is there stays as it is, where the server knows of that.

        One that does not is written to without the condition: what is overwritten has the same name, so the same bytes.
        """
        from obstore.exceptions import AlreadyExistsError, BaseError

        with self.asked(path) as store:
            if self._creates and len(data) < LARGE:
                try:
                    store.put(self._key(path), data, mode="create", use_multipart=False)
                except AlreadyExistsError:
                    return
                except BaseError as error:
                    if UNKNOWN not in str(error):
                        raise
                    self._creates = False
                else:
                    return
            store.put(self._key(path), data, use_multipart=len(data) >= LARGE)

    def rm_file(self, *paths: str) -> None:
        """Remove objects, a thousand a request; one that is not there is no error to S3."""
        with self.asked() as store:
            store.delete(list(map(self._key, paths)))

    def find(self, path: str, detail: bool = True) -> dict[str, dict[str, Any]]:
        """Everything below a path, with its size."""
        with self.asked() as store:
            found = store.list(f"{self._key(path)}/".lstrip("/"))
            return {f"{self.url}/{one['path']}": {"size": one["size"]} for some in found for one in some}

    def makedirs(self, path: str, exist_ok: bool = True) -> None:
        """Do nothing: S3 has no folders."""

    def invalidate_cache(self) -> None:
        """Do nothing: nothing is kept."""

    def _key(self, path: str) -> str:
        return path.removeprefix(self.url).lstrip("/")


@contextmanager
def told(bucket: str, path: str = "") -> Iterator[None]:
    """Tell what went wrong in a sentence, without what a request held."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error):
            raise FileNotFoundError(f"Object {path} is not there.") from None
        raise refusal(bucket, str(error)) from None


def endpoint() -> str | None:
    """The address of the server, where that is not AWS."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def refusal(bucket: str, text: str) -> OSError:
    """What a person is told, of the text of an error of obstore's.

    >>> refusal("s3://team", "404 Not Found: <Error><Code>NoSuchBucket</Code><Message>…</Message></Error>")
    OSError('There is no bucket s3://team on the S3 server; make it, or write its name rightly in PALIMPSEST_OBJECTS.')
    """
    server = endpoint() or "the S3 server"
    found, status = CODE.search(text), STATUS.search(text)
    code, message = found.groups() if found else ("", "")
    if code == "NoSuchBucket":
        return OSError(
            f"There is no bucket {bucket} on {server}; make it, or write its name rightly in PALIMPSEST_OBJECTS."
        )
    if code in ("RequestTimeTooSkewed", "RequestExpired"):
        return PermissionError(
            f"The clocks of {server} and of this machine differ (it is {datetime.now(UTC):%Y-%m-%d %H:%M} UTC here), "
            "and no signature holds then; set this one, as by `timedatectl set-ntp true`."
        )
    if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch"):
        which = "knows no such access key" if code == "InvalidAccessKeyId" else "finds that the secret key is wrong"
        return PermissionError(f"{server} {which}; set {KEYS}, to those of {bucket}.")
    if code in ("ExpiredToken", "InvalidToken", "TokenRefreshRequired"):
        return PermissionError(f"The credentials for {bucket} have expired or are damaged; get new ones: {KEYS}.")
    if code in ("PermanentRedirect", "AuthorizationHeaderMalformed") or "incorrectly configured region" in text:
        return OSError(f"{bucket} is in another region than was asked; set AWS_DEFAULT_REGION to its own.")
    number = status[1] if status else ""
    if code == "AccessDenied" or number in ("401", "403"):
        return PermissionError(f"The key may not use {bucket} so; whoever owns it must allow {NEEDED}.")
    said = ", ".join(filter(None, (number, code, message)))
    if not number or number in AWAY:
        return ConnectionError(
            f"{endpoint() or 'AWS'} does not answer for {bucket} ({said or 'no connection'}); see to the network, and "
            "to AWS_ENDPOINT_URL and AWS_DEFAULT_REGION."
        )
    return OSError(f"{bucket} cannot be used: {said}")


def profile() -> tuple[S3Config, Any]:
    """Region, address and credentials as ``aws`` and DVC find them where no key is in the environment: by
    ``AWS_PROFILE``, in ``~/.aws``, or from the machine that this is.

    Raises ``PermissionError`` where there are none.
    """
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    session = Session()
    try:
        found, settings = session.get_credentials(), session.get_scoped_config()
    except (BotoCoreError, OSError) as error:
        raise PermissionError(f"No credentials for S3: {error}; set {KEYS}.") from None
    if found is None:
        raise PermissionError(f"There are no credentials for S3; set {KEYS}.")

    def fresh() -> S3Credential:
        now = found.get_frozen_credentials()
        return {
            "access_key_id": now.access_key,
            "secret_access_key": now.secret_key,
            "token": now.token,
            "expires_at": datetime.now(UTC) + timedelta(minutes=10),
        }

    config: S3Config = {}
    if region := session.get_config_variable("region"):
        config["region"] = region
    if (address := settings.get("endpoint_url")) and not endpoint():
        config["endpoint"] = address
    return config, fresh
