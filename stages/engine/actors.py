"""``engine: ray``: workers on Ray's actors, on this machine, a Slurm allocation or a Kubernetes cluster.

A study says ``engine: ray``, or ``PALIMPSEST_ENGINE=ray`` does for all; no key and no result depends on it.

==========================  ==============================================  ===========================================
variable                    meaning                                         default
==========================  ==============================================  ===========================================
``RAY_ADDRESS``             the cluster, as Ray has it                      one of this machine, for as long as a stage
``PALIMPSEST_ACTORS``       how many actors compute                         as many as fit on the GPUs, or one a node
``PALIMPSEST_GPUS``         the share of a GPU that each is given           1, or 0 where the cluster has none
==========================  ==============================================  ===========================================

The execution that plans is the only one that touches registry and MLflow. An actor gets a worker and batches of tasks,
which carry references; it reads pictures itself, catches what one item does to a model, and returns values, bytes and
reasons. So every node needs the checkout, at the same path, and its ``data/`` (masks and captions lie in shards). What
a server computes is no work for an actor, and is asked for here (:class:`~stages.engine.tasks.Worker`).

These are plain actors, and not ``ray.data``'s ``map_batches``, which is as quick once it runs and begins ten times
later (``tests/bench/bench_ray.py``): there an exception outside of our hands ends the job or drops its block without a
word, a batch that kills its process is tried again for ever or ends all, and rows of blocks take the place of batches,
which waves and trainings have of their own.

Here a batch whose actor died is given to another one. If that dies too, the batch is halved, and so on, until the item
that kills is alone: it has failed. An actor prepares the batch that comes next while it is at one, as is done here
without Ray; where it dies, either may be to blame, so none is, and each is computed without company.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.adapters.ahead import Begun
from models.adapters.settings import unknown
from registry.store import places
from registry.store.ending import SIGNALS
from registry.store.keys import item_seed
from stages.engine.handling import card
from stages.engine.study import ENGINES, PARAMS, read_study
from stages.engine.tasks import Curve, Outcome, Task, Telling, Worker, attempted

if TYPE_CHECKING:
    from ray.util.queue import Queue

log = logging.getLogger(__name__)

Batch = Sequence[tuple[str, Task]]
"""Some tasks with their keys."""

DEATHS = 2
"""So many actors may die of a batch before it is halved, and of an item before it has failed."""
LOADS = 3
"""So many actors in a row may die while they load a worker before the stage ends."""
SECONDS = 60
"""How long nothing may happen before it is said that Ray has no room."""
POLL = 1
"""Seconds between two looks at the curves of trainings."""
KILLER = "The process that computed it died, every time that it was tried; it may have run out of memory."


def engine() -> str:
    """Where stages compute: as ``PALIMPSEST_ENGINE`` says, or else the study of the working directory."""
    if said := os.environ.get("PALIMPSEST_ENGINE"):
        if said not in ENGINES:
            raise ValueError(unknown("engine (PALIMPSEST_ENGINE)", said, ENGINES))
        return said
    return read_study().engine if PARAMS.is_file() else "local"


def seeds_of(batch: Batch) -> list[int]:
    """The seeds of a batch's items."""
    return [item_seed(key) for key, _ in batch]


class Host:
    """What an actor is: it holds one worker at a time and computes batches with it."""

    def __init__(self, root: str, settings: Mapping[str, str]) -> None:
        self.root = root
        os.environ |= settings
        self.worker: Worker | None = None
        self.following: tuple[Sequence[int], Begun] | None = None

    def load(self, worker: Worker, told: Queue | None) -> tuple[str, str, bool]:
        """Make a worker ready; returns the device, the name of its card, and whether the worker prepares ahead."""
        if not Path(self.root, "dvc.yaml").is_file():
            raise FileNotFoundError(
                f"{socket.gethostname()} has no checkout at {self.root}: let every node of the Ray cluster see this "
                "one at the same path."
            )
        os.chdir(self.root)
        if self.following:
            self.following[1].abandon()
        self.worker = self.following = None
        gc.collect()  # a pipeline whose forward was replaced refers to itself
        if told is not None and isinstance(worker, Telling):
            worker.curve = partial(telling, told)
        device = worker.load()
        self.worker = worker
        return device, card(device), getattr(worker, "prepares", False)

    def compute(
        self, tasks: Sequence[Task], seeds: Sequence[int], following: tuple[Sequence[Task], Sequence[int]] | None = None
    ) -> list[Outcome]:
        """The outcomes of a batch, with what their files hold: no other node may see the files themselves.

        The tasks and seeds of a batch that is ``following`` are prepared while this one is on the device.
        """
        assert self.worker
        begun = None
        if getattr(self.worker, "prepares", False):
            begun = partial(self._prepared(tasks, seeds).result, partial(self._prepare, following))
        outcomes = attempted(self.worker, tasks, seeds, begun)
        return [
            replace(one, files={n: f if isinstance(f, bytes) else f.read_bytes() for n, f in one.files.items()})
            for one in outcomes
        ]

    def _prepared(self, tasks: Sequence[Task], seeds: Sequence[int]) -> Begun:
        """A batch that has begun: that which was following, or a new one in its place."""
        assert self.worker
        if self.following:
            known, begun = self.following
            self.following = None
            if known == seeds:
                return begun
            begun.abandon()
        return Begun(partial(self.worker.compute, tasks, seeds))

    def _prepare(self, following: tuple[Sequence[Task], Sequence[int]] | None) -> None:
        if following and not self.following:
            self.following = following[1], self._prepared(*following)


@contextmanager
def telling(told: Queue, name: str, key: str) -> Iterator[Callable[[Mapping[str, float], int], None]]:
    """The curve of an item on an actor: what is told goes to the execution that plans."""
    told.put(("begin", key, name))
    error: Exception | None = None
    try:
        yield lambda metrics, step: told.put(("step", key, dict(metrics), step))
    except Exception as raised:
        error = raised
        raise
    finally:
        told.put(("end", key, error and RuntimeError(str(error))))


class Curves:
    """The curves that actors tell of, as MLflow gets them."""

    def __init__(self, curve: Curve, told: Queue) -> None:
        self.curve, self.told = curve, told
        self.open: dict[str, tuple[AbstractContextManager[Any], Callable[[Mapping[str, float], int], None]]] = {}

    def hear(self) -> None:
        """Log what was told since the last time."""
        for what, *said in self.told.get_nowait_batch(self.told.qsize()):
            getattr(self, what)(*said)

    def begin(self, key: str, name: str) -> None:
        opened = self.curve(name, key)
        self.open[key] = opened, opened.__enter__()

    def step(self, key: str, metrics: Mapping[str, float], step: int) -> None:
        if key in self.open:  # else its actor is gone
            self.open[key][1](metrics, step)

    def end(self, key: str, error: BaseException | None) -> None:
        if key in self.open:
            opened, _ = self.open.pop(key)
            opened.__exit__(type(error) if error else None, error, None)

    def lose(self, keys: Iterable[str]) -> None:
        """End the curves of items whose actor is gone."""
        for key in self.open.keys() & set(keys):
            self.end(key, KeyboardInterrupt())


@dataclass(eq=False)
class Actor:
    """An actor, as the execution that plans knows it."""

    handle: Any
    worker: Worker | None = None
    """That it has loaded, and which ``prepares`` the next batch ahead of the device or not."""
    prepares: bool = False
    following: Job | None = None
    """What it prepares."""


@dataclass(eq=False)
class Job:
    """A batch, and how many actors have died of it or of what it is a half of."""

    batch: Batch
    deaths: int = 0
    alone: bool = False
    """Whether nothing is prepared beside it."""

    @property
    def asked(self) -> tuple[list[Task], list[int]]:
        return [task for _, task in self.batch], seeds_of(self.batch)

    def again(self) -> Iterator[Job]:
        """The job once more, or its halves where it has killed too often."""
        if self.deaths + 1 < DEATHS:
            yield Job(self.batch, self.deaths + 1, alone=True)
        else:
            middle = len(self.batch) // 2
            yield from (Job(half, DEATHS - 1, alone=True) for half in (self.batch[:middle], self.batch[middle:]))


class Actors:
    """The actors of one execution; each is started when there is something for it to do."""

    def __init__(self) -> None:
        self.ray, self.own = started()
        have = self.ray.cluster_resources()
        self.gpus = setting("PALIMPSEST_GPUS", float, float("GPU" in have))
        fit = int(have.get("GPU", 0) / self.gpus) if self.gpus else len(self.ray.nodes())
        self.most = setting("PALIMPSEST_ACTORS", int, max(fit, 1))
        if self.most < 1 or self.gpus < 0:
            raise ValueError("PALIMPSEST_ACTORS is at least 1, and PALIMPSEST_GPUS no less than 0.")
        threads = max(int(have.get("CPU", 1)) // self.most, 1)
        self.settings = {"OMP_WAIT_POLICY": "PASSIVE", "PALIMPSEST_OBJECTS": places.objects_url()}
        self.settings["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", str(threads))
        self.idle: list[Actor] = []
        self.told: Any = None

    def attempt(
        self, worker: Worker, batches: Iterable[Batch], begin: Callable[[str, str], None], curve: Curve
    ) -> Iterator[tuple[Batch, list[Outcome]]]:
        """Compute batches: each, or what it was divided into, with its outcomes, the first that is done first.

        ``begin`` hears on which device it is done, ``curve`` opens those of a worker that tells. Whatever ``load``
        raises passes through.
        """
        exceptions, drawn, todo = self.ray.exceptions, iter(batches), deque[Job]()
        loading: dict[Any, Actor] = {}
        busy: dict[Any, tuple[Actor, Job]] = {}
        sent, curves, fallen = self.ray.put(worker), self._curves(worker, curve), 0
        try:
            while True:
                ready = [actor for actor in [*self.idle, *(one for one, _ in busy.values())] if actor.worker is worker]
                most = self.most * (2 if any(actor.prepares for actor in ready) else 1)
                while len(todo) + len(busy) < most and (batch := next(drawn, None)) is not None:
                    todo.append(Job(batch))
                for actor in [one for one in self.idle if one.worker is worker][: len(todo)]:
                    self.idle.remove(actor)
                    elsewhere = [one.following for one, _ in busy.values()]
                    free = [job for job in todo if job not in elsewhere]
                    own = (one for one in todo if one is actor.following)
                    job = next(chain(own, free, todo))
                    todo.remove(job)
                    comes = (one for one in free if one is not job and not (one.alone or job.alone))
                    actor.following = next(comes, None) if actor.prepares else None
                    following = actor.following.asked if actor.following else None
                    busy[actor.handle.compute.remote(*job.asked, following)] = actor, job
                while len(loading) < min(len(todo), self.most - len(busy)):
                    actor = self.idle.pop() if self.idle else self._made()
                    loading[actor.handle.load.remote(sent, self.told)] = actor
                if not busy and not todo:
                    return
                done, _ = self.ray.wait([*busy, *loading], timeout=POLL if curves else SECONDS)
                if curves:
                    curves.hear()
                elif not done and not busy:
                    log.warning("Ray has no actor ready yet; each is given %g of a GPU.", self.gpus)
                for ref in done:
                    actor, its = busy.pop(ref) if ref in busy else (loading.pop(ref), None)
                    try:
                        found = self.ray.get(ref)
                    except exceptions.RayTaskError as error:  # what one item does is caught there: it is about all
                        self.ray.kill(actor.handle)
                        raise error.cause from None
                    except exceptions.RayError as error:
                        log.warning("An actor was lost (%s).", str(error).strip().partition("\n")[0])
                        self.ray.kill(actor.handle)
                        if its is None:
                            fallen += 1
                        elif actor.following:
                            its.alone = actor.following.alone = True
                            todo.append(its)
                        elif its.deaths + 1 >= DEATHS and len(its.batch) == 1:
                            yield its.batch, [Outcome(reason=KILLER)]
                        else:
                            todo.extend(its.again())
                        if curves and its:
                            curves.lose(key for key, _ in its.batch)
                        if fallen == LOADS:
                            raise RuntimeError(
                                f"{LOADS} actors in a row died while they loaded their model; each may need more "
                                "memory than it has: start fewer (PALIMPSEST_ACTORS)."
                            ) from None
                        continue
                    self.idle.append(actor)
                    if its is None:
                        actor.worker, fallen = worker, 0
                        device, name, actor.prepares = found
                        begin(device, name)
                    else:
                        yield its.batch, found
        finally:
            for actor in [*loading.values(), *(actor for actor, _ in busy.values())]:
                self.ray.kill(actor.handle)
            if curves:
                curves.lose(list(curves.open))

    def _made(self) -> Actor:
        made = self.ray.remote(num_gpus=self.gpus, max_restarts=0, scheduling_strategy="SPREAD")(Host)
        return Actor(made.remote(str(places.root()), self.settings))

    def _curves(self, worker: Worker, curve: Curve) -> Curves | None:
        """What hears of the curves of a worker, if it tells; the queue is on this machine, and stays as it does."""
        if not isinstance(worker, Telling):
            return None
        if self.told is None:
            from ray.util.queue import Queue
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

            here = NodeAffinitySchedulingStrategy(self.ray.get_runtime_context().get_node_id(), soft=False)
            self.told = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})
        return Curves(curve, self.told)

    def close(self) -> None:
        """End the actors, and the cluster where it was begun for them."""
        for actor in self.idle:
            self.ray.kill(actor.handle)
        if self.told is not None:
            self.told.shutdown(force=True)
        if self.own:
            self.ray.shutdown()


def setting(name: str, kind: Callable[[str], Any], default: Any) -> Any:
    """A number from the environment; raises ``ValueError`` where it is none."""
    said = os.environ.get(name)
    try:
        return kind(said) if said else default
    except ValueError:
        raise ValueError(f"{name} is {said!r}; give it a number.") from None


def started() -> tuple[Any, bool]:
    """Ray, connected to the cluster of ``RAY_ADDRESS`` or to one of its own, and whether it was connected just now."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise ValueError("engine: ray needs Ray; install the extra: pip install -e '.[ray]'.") from None
    if ray.is_initialized():
        return ray, False
    address = os.environ.get("RAY_ADDRESS", "local")
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ConnectionError(f"Ray cannot be reached or started (RAY_ADDRESS: {address}): {reason}") from error
    finally:
        for number, handler in handlers.items():  # Ray has its own for SIGTERM, which ends nothing orderly
            signal.signal(number, handler)
    return ray, True
