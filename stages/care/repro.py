"""``dvc repro`` in less time: ``python -m stages.care.repro``, with the arguments of ``dvc repro``.

Most of the seconds of a stage of a small study are not its own: an interpreter starts and imports what the one before
it had imported, and DVC parses all of ``dvc.lock`` to change one entry. Here stages are forks of one process, which
imports for the next what the last one needed, and ``dvc.lock`` is parsed once. What DVC writes is the same.
"""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import re
import runpy
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from registry.tracking import LEFT_OUT, lightly

COMMAND = re.compile(r"python -m (stages\.\w+|reports)((?: [\w-]+)*)")
"""The commands of ``dvc.yaml`` that can be forked."""


class Warm:
    """Runs stages as forks of this process."""

    def __init__(self) -> None:
        self.wanted: list[str] = []
        """The modules that the last stage imported, in the order in which it began to."""
        self.fork = multiprocessing.get_context("fork")

    def run(self, command: str, environment: Mapping[str, str]) -> int:
        """Run a command of ``dvc.yaml`` that :data:`COMMAND` matches, and return its exit code."""
        match = COMMAND.fullmatch(command)
        assert match
        self.catch_up()
        there, here = self.fork.Pipe(duplex=False)
        child = self.fork.Process(target=staged, args=(match[1], match[2].split(), dict(environment), here))
        ours = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as DVC has it: the stage gets it and ends in order
        try:
            child.start()
            here.close()
            with suppress(EOFError):
                self.wanted = there.recv()
            child.join()
        finally:
            there.close()
            signal.signal(signal.SIGINT, ours)
        return child.exitcode or 0

    def catch_up(self) -> None:
        """Import what the last stage imported, as it did: none of it computes, nor looks for a GPU."""
        absent = not {name.partition(".")[0] for name in self.wanted} & set(LEFT_OUT)
        with lightly() if absent else nullcontext():
            for name in self.wanted:
                if name not in sys.modules:
                    with suppress(Exception):
                        importlib.import_module(name)
        self.wanted = []
        gc.freeze()  # a child that collected garbage would copy every page


def staged(module: str, arguments: list[str], environment: Mapping[str, str], here: Connection) -> None:
    """Run a stage as its command would, and say what it imported of others' packages."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before = set(sys.modules)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    ours = {path.stem for path in Path().iterdir()}
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        found = [name for name in sys.modules if name not in before and name.partition(".")[0] not in ours]
        here.send([name for name in found if name != "__mp_main__"])


class Parsed:
    """Files of YAML that are changed many times, parsed once."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[tuple[int, ...], Any]] = {}

    @contextmanager
    def modify(self, path: str, fs: Any = None) -> Iterator[Any]:
        """``modify_yaml`` of DVC, which does not parse again what it wrote last."""
        from dvc.utils.serialize import _yaml

        written, data = self.held.pop(path, ((), None))
        if written and written == version(path):
            yield data
            _yaml.dump_yaml(path, data, fs=fs)
        else:
            with _yaml.modify_yaml(path, fs=fs) as data:
                yield data
        self.held[path] = version(path), data


def version(path: str) -> tuple[int, ...]:
    """What distinguishes a file from what it was before; empty where there is none."""
    if not Path(path).exists():
        return ()
    found = Path(path).stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def main() -> int:
    """Run ``dvc repro``; returns its exit code."""
    from dvc import dvcfile
    from dvc.cli import main as dvc
    from dvc.stage import run
    from dvc.stage.exceptions import StageCmdFailedError

    warm, parsed, started = Warm(), Parsed(), run._run

    def forked(executable: str, command: str, **how: Any) -> None:
        if not COMMAND.fullmatch(command) or Path(how["cwd"]) != Path.cwd():
            started(executable, command, **how)
        elif code := warm.run(command, how["env"]):
            raise StageCmdFailedError(command, code)

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # whoever asks for a GPU otherwise, cannot fork
    if sys.platform == "linux":  # elsewhere a fork is not safe
        run._run = forked
        dvcfile.modify_yaml = parsed.modify
    return dvc(["repro", *sys.argv[1:]])


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # an interpreter that takes leave of everything imported takes a second, and some packages complain
