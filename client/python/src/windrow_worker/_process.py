"""The process of one location, seen from the worker process."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from . import _child
from ._child import Source
from .task import Task

# Never fork: the worker process has threads, including those of gRPC.
_context = multiprocessing.get_context("spawn")

NAME = "windrow-location"
TICK_SECONDS = 0.2
KILL_SECONDS = 1.0
EXIT_SECONDS = 2.0
READ_BYTES = 65536
# The end of the output is kept. The server stores 2,000 lines per location.
OUTPUT_BYTES = 65536
OUTPUT_LINES = 400


# Process groups that are alive.
_groups: set[int] = set()


def kill_all() -> None:
    """Kills the process groups of all locations. Safe in signal handlers."""
    for pid in list(_groups):
        with suppress(OSError):
            os.killpg(pid, signal.SIGKILL)


class Killed(Exception):
    """The process was killed because it took too long."""


class Ended(Exception):
    """The process ended without a result."""


class Output:
    """The end of standard output or standard error."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._data = b""
        self._dropped = False

    def add(self, data: bytes) -> None:
        """Adds data from the pipe."""
        self._data += data
        if len(self._data) > OUTPUT_BYTES:
            self._data = self._data[-OUTPUT_BYTES:].partition(b"\n")[2] or self._data[-OUTPUT_BYTES:]
            self._dropped = True

    def lines(self) -> list[str]:
        """The last lines."""
        kept = [line for line in self._data.decode("utf-8", "replace").splitlines() if line.strip()]
        if self._dropped or len(kept) > OUTPUT_LINES:
            return [f"(earlier {self._name} was dropped)", *kept[-OUTPUT_LINES:]]
        return kept


class LocationProcess:
    """Starts the process, reads its messages, and kills its process group.

    The creating thread must live until `close`: Linux kills the process when its parent thread ends.
    """

    def __init__(self, function: Source, task: Task, timeout: float) -> None:
        self.stdout = Output("output")
        self.stderr = Output("error output")
        self._timeout = timeout
        # End of the current Task.time_limit, and the error at that time.
        self._limit: tuple[float, str] | None = None
        self._buffer = b""
        pipes = [_context.Pipe(duplex=False) for _ in range(4)]
        (rows, rows_w), (out, out_w), (err, err_w), (life_r, self._life) = pipes
        self._rows = rows
        self._readers: dict[Connection, Callable[[bytes], None]] = {
            rows: self._take, out: self.stdout.add, err: self.stderr.add
        }  # fmt: skip
        arguments = (function, task, os.getpid(), rows_w, out_w, err_w, life_r)
        self._process = _context.Process(target=_child.main, args=arguments, name=f"{NAME}-{task.location[:40]}")
        self._deadline = time.monotonic() + timeout
        try:
            self._process.start()
        finally:
            for connection in (rows_w, out_w, err_w, life_r):
                connection.close()
        if self._process.pid:
            _groups.add(self._process.pid)

    def messages(self, stopped: Callable[[], bool]) -> Iterator[dict[str, Any] | None]:
        """Yields messages, and None after a moment without one, up to the result of the process.

        Ends early if `stopped` returns true. Raises Killed or Ended.
        """
        while not stopped():
            alive = self._process.exitcode is None
            if not alive:
                self._signal(signal.SIGKILL)
            self._read(TICK_SECONDS if alive else 0.0)
            for message in self._parse():
                if message["kind"] == "limit":
                    self._set_limit(message)
                    continue
                yield message
                if message["kind"] in ("done", "error"):
                    return
            if not alive and not self._read(0.0):
                raise Ended(_describe_exit(self._process.exitcode))
            self._check_time()
            yield None

    def close(self, *, ended: bool) -> None:
        """Waits briefly for the exit of a process that has ended by itself; kills the rest of its group."""
        deadline = time.monotonic() + (EXIT_SECONDS if ended else 0.0)
        while self._process.exitcode is None and time.monotonic() < deadline:
            self._read(0.05)
        if self._process.exitcode is None:
            self._signal(signal.SIGTERM)
            deadline = time.monotonic() + KILL_SECONDS
            while self._process.exitcode is None and time.monotonic() < deadline:
                self._read(0.05)
        self._signal(signal.SIGKILL)
        if self._process.pid:
            _groups.discard(self._process.pid)
        self._process.join()
        while self._read(0.0):
            pass
        for connection in (*self._readers, self._life):
            connection.close()
        self._readers = {}
        self._process.close()

    def _read(self, timeout: float) -> bool:
        """Reads once from each readable pipe; False if there was none."""
        got = False
        if not self._readers:
            time.sleep(min(timeout, 0.05))
        for connection in wait(list(self._readers), timeout):
            assert isinstance(connection, Connection)
            data = os.read(connection.fileno(), READ_BYTES)
            if data:
                self._readers[connection](data)
                got = True
            else:
                del self._readers[connection]
                connection.close()
        return got

    def _take(self, data: bytes) -> None:
        self._buffer += data

    def _parse(self) -> Iterator[dict[str, Any]]:
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            yield json.loads(line)

    def _set_limit(self, message: dict[str, Any]) -> None:
        self._limit = None
        if message["seconds"] is not None:
            text = f"{message['what']} timed out after {message['seconds']:g} s"
            self._limit = (time.monotonic() + message["seconds"], text)

    def _check_time(self) -> None:
        now = time.monotonic()
        if now > self._deadline:
            raise Killed(f"timed out after {self._timeout:g} s")
        if self._limit and now > self._limit[0]:
            raise Killed(self._limit[1])

    def _signal(self, number: int) -> None:
        pid = self._process.pid
        if pid is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
        if self._process.exitcode is None:
            # It may not have created its process group yet.
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def _describe_exit(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = "unknown"
        hint = ", possibly out of memory" if -code == signal.SIGKILL else ""
        return f"the process of the location was killed by signal {-code} ({name}){hint}"
    return f"the process of the location ended with exit code {code} before the location was complete"
