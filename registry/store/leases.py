"""Leases: who computes an item now, so that two executions that want the same items at the same time share them.

A lease is a promise with an end. It is renewed as long as its execution lives, and free to be taken once it is not: at
once where that ran on this machine, else when the lease has ended. It is no lock: were two to compute an item in spite
of it, the store keeps what the first has found.
"""

from __future__ import annotations

import logging
import socket
import uuid
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import psutil
from sqlalchemy import Engine, delete, extract, func, or_, select, update
from sqlalchemy.exc import DBAPIError

from registry.store.bulk import upsert
from registry.store.items import among, chunks, patient
from registry.store.schema import Lease

SECONDS = 120
"""How long a lease lasts that is not renewed."""
RENEWED = 30
"""Seconds between two renewals."""
STEP = 60
"""Seconds by which the time at which a process began seems to change while it runs: it is told by the machine's clock,
which is set. A process that began later than that has another's number."""
NOW = extract("epoch", func.current_timestamp())
"""The clock of the database, which all share, in seconds."""

log = logging.getLogger(__name__)


class Leases:
    """The leases of one execution, until it gives them back.

    >>> from registry.store.database import connect, migrate_when_behind
    >>> engine = connect("sqlite://")
    >>> migrate_when_behind(engine)
    >>> mine, others = Leases(engine), Leases(engine)
    >>> mine.take(["a", "b"]) == {"a", "b"}, others.take(["b", "c"])
    (True, {'c'})
    >>> mine.close()
    >>> others.take(["b"])
    {'b'}
    >>> others.close()
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        process = psutil.Process()
        self.owner = f"{machine()} {process.pid} {process.create_time():.2f} {uuid.uuid4().hex}"
        self._renewing: Thread | None = None
        self._ended = Event()

    def close(self) -> None:
        """Give all back; where the registry is away just then, they end by themselves."""
        if self._renewing:
            self._ended.set()
            self._renewing.join()
            with suppress(DBAPIError, ConnectionError), self.engine.begin() as connection:
                connection.execute(delete(Lease).where(Lease.owner == self.owner))

    @patient
    def take(self, keys: Collection[str]) -> set[str]:
        """Those of the keys that this execution may compute: no other one does."""
        if not self._renewing:
            self._renewing = Thread(target=self._renew, name="leases", daemon=True)
            self._renewing.start()
        mine = self._take(keys)
        others = set(keys) - mine
        if others and (gone := [owner for owner in self.owners(others) if is_gone(owner)]):
            with self.engine.begin() as connection:
                connection.execute(delete(Lease).where(Lease.owner.in_(gone)))
            mine |= self._take(others)
        return mine

    def _take(self, keys: Collection[str]) -> set[str]:
        with self.engine.begin() as connection:
            now = connection.scalars(select(NOW)).one()
            rows = [{"key": key, "owner": self.owner, "expires": now + SECONDS} for key in keys]
            upsert(connection, Lease.__table__, rows, ["key"], or_(Lease.expires < now, Lease.owner == self.owner))
            return {
                key
                for some in chunks(keys)
                for key in connection.scalars(
                    select(Lease.key).where(among(connection, some, Lease.key), Lease.owner == self.owner)
                )
            }

    def owners(self, keys: Collection[str]) -> set[str]:
        """Who has leases of the keys."""
        with self.engine.connect() as connection:
            return {
                owner
                for some in chunks(keys)
                for owner in connection.scalars(select(Lease.owner).where(among(connection, some, Lease.key)))
            }

    @patient
    def release(self, keys: Collection[str]) -> None:
        """Give some leases back."""
        with self.engine.begin() as connection:
            for some in chunks(keys):
                own = among(connection, some, Lease.key), Lease.owner == self.owner
                connection.execute(delete(Lease).where(*own))

    def _renew(self) -> None:
        while not self._ended.wait(RENEWED):
            try:
                with self.engine.begin() as connection:
                    own = update(Lease).where(Lease.owner == self.owner)
                    connection.execute(own.values(expires=connection.scalars(select(NOW)).one() + SECONDS))
            except (DBAPIError, ConnectionError) as error:
                log.debug("Leases were not renewed: %s", error)  # they last longer than a server restarts


def machine() -> str:
    """Names what sees the same processes as this one: a machine since it was started, or a container on it. A host name
    does not: many machines have a usual one, and containers that of their host."""
    booted, seen = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    inside = seen.readlink() if seen.is_symlink() else ""
    return f"{socket.gethostname()} {booted.read_text().strip() if booted.is_file() else uuid.getnode()} {inside}"


def is_gone(owner: str) -> bool:
    """Whether an owner was a process that could be seen from here, and is no more.

    >>> is_gone(f"{machine()} 1 0.00 x"), is_gone(f"{socket.gethostname()} 1 0.00 x")  # that process 1 began later
    (True, False)
    """
    where, process, created, _ = owner.rsplit(" ", 3)
    if where != machine():
        return False
    try:
        return psutil.Process(int(process)).create_time() > float(created) + STEP
    except psutil.NoSuchProcess:
        return True
