"""The worker: registers sources and runs until a signal."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import re
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ._child import Source
from ._process import NAME, kill_all

if TYPE_CHECKING:
    from ._engine import Engine, SourceEntry

log = logging.getLogger("windrow_worker")

DEFAULT_SERVER = "127.0.0.1:50051"
MAX_CAPACITY = 100
MAX_SOURCES = 100

SourceT = TypeVar("SourceT", bound=Source)


class WorkerError(Exception):
    """The worker failed: its settings are wrong, or the server rejected it."""


class Worker:
    """Executes runs with the registered sources.

    `server` is host:port, or https://host:port for TLS. Default: the variable WINDROW_SERVER. Separate the
    addresses of several servers on one database with commas: if one stops, the worker uses the next.
    `capacity` is the maximum number of runs in progress, 1 to 100. `grace` is the time in seconds to finish
    them when the worker stops.
    """

    def __init__(self, server: str | None = None, capacity: int = 1, grace: float = 20.0) -> None:
        if not 1 <= capacity <= MAX_CAPACITY:
            raise ValueError(f"capacity must be 1 to {MAX_CAPACITY}: {capacity}")
        self.server = server or os.environ.get("WINDROW_SERVER") or DEFAULT_SERVER
        self.capacity = capacity
        self.grace = grace
        self._sources: dict[str, tuple[Source, float]] = {}
        self._stop = threading.Event()
        self._signals = 0

    def source(self, name: str, timeout: float = 600.0) -> Callable[[SourceT], SourceT]:
        """Registers a function as a source; `timeout` is the maximum time of a location in seconds.

        Each location calls the function in a new process, which imports it by module and name: it must not
        be a lambda or defined inside another function.
        """
        if timeout <= 0:
            raise ValueError(f"timeout must be positive: {timeout}")
        if name in self._sources:
            raise ValueError(f"source '{name}' is registered already")
        if len(self._sources) == MAX_SOURCES:
            raise ValueError(f"a worker has at most {MAX_SOURCES} sources")

        def register(function: SourceT) -> SourceT:
            self._sources[name] = (function, timeout)
            return function

        return register

    def run(self) -> None:
        """Executes runs until SIGTERM, SIGINT or `stop`. Raises WorkerError if the worker fails."""
        if multiprocessing.current_process().name.startswith(NAME):
            # This is a location's process, which imported a script without an `if __name__` guard.
            return
        engine = self._engine()
        handlers = self._handle_signals()
        try:
            engine.start()
            while not self._signals and not self._stop.is_set() and not engine.stopping.is_set():
                time.sleep(0.1)
            engine.stop(self.grace)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if engine.error:
            raise WorkerError(engine.error)
        log.info("Worker stopped")

    def stop(self) -> None:
        """Ends `run` like SIGTERM. Thread-safe."""
        self._stop.set()

    def _engine(self) -> Engine:
        # Imported here: the processes of the locations need no gRPC.
        from ._engine import Engine, SourceEntry

        if not self._sources:
            raise WorkerError("the worker has no sources; register one with @worker.source")
        entries: dict[str, SourceEntry] = {}
        for name, (function, timeout) in self._sources.items():
            try:
                pickle.dumps(function)
            except Exception as error:
                raise WorkerError(f"the function of source '{name}' cannot be imported by name: {error}") from error
            entries[name] = SourceEntry(function, timeout)
        if not self.server.strip(" ,"):
            raise WorkerError("the address of the server is empty")
        worker_id = make_worker_id()
        log.info("Worker %s executes runs of %s for %s", worker_id, ", ".join(sorted(entries)), self.server)
        return Engine(self.server, worker_id, self.capacity, entries)

    def _handle_signals(self) -> dict[int, signal.Handlers | int | Callable[..., object] | None]:
        """Sets the handlers and returns the previous ones. Only the main thread receives signals."""
        if threading.current_thread() is not threading.main_thread():
            return {}
        return {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}

    def _on_signal(self, number: int, frame: object) -> None:
        self._signals += 1
        if self._signals > 1:
            kill_all()
            os._exit(128 + number)


def make_worker_id() -> str:
    """A unique id of this process: host, process id, random characters."""
    host = re.sub(r"[^A-Za-z0-9.-]", "_", socket.gethostname())[:100]
    return f"{host}-{os.getpid()}-{secrets.token_hex(4)}"
