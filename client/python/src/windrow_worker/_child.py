"""The process of one location: calls the source and sends its properties to the worker process.

Messages are lines of JSON of these kinds: `rows`, `log`, `limit` (see Task.time_limit), and finally `done` or
`error`. Standard output and error are pipes to the worker process.
"""

from __future__ import annotations

import ctypes
import faulthandler
import io
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from ._values import convert
from .task import Property, ScrapeError, Task

Source = Callable[[Task], Iterable[Property]]

MAX_LISTINGS = 10_000
BATCH_ROWS = 50
BATCH_SECONDS = 0.2
PR_SET_PDEATHSIG = 1


class Sender:
    """Sends messages, and rows in small batches. Thread-safe."""

    def __init__(self, connection: Connection) -> None:
        self._file = connection.fileno()
        self._lock = threading.Lock()
        self._rows: list[tuple[str, dict[str, Any]]] = []

    def send(self, message: dict[str, Any]) -> None:
        """Sends a message after all earlier rows."""
        with self._lock:
            self._flush()
            self._write(message)

    def add(self, row: tuple[str, dict[str, Any]]) -> None:
        """Adds a row, which is sent within BATCH_SECONDS."""
        with self._lock:
            self._rows.append(row)
            if len(self._rows) >= BATCH_ROWS:
                self._flush()

    def flush_forever(self) -> None:
        """Sends waiting rows while the source is busy. Runs in a thread."""
        pause = threading.Event()
        while not pause.wait(BATCH_SECONDS):
            with self._lock:
                self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._write({"kind": "rows", "rows": self._rows})
            self._rows = []

    def _write(self, message: dict[str, Any]) -> None:
        data = memoryview(json.dumps(message).encode() + b"\n")
        while data:
            data = data[os.write(self._file, data) :]


def main(
    function: Source, task: Task, parent: int, rows: Connection, out: Connection, err: Connection, life: Connection
) -> None:
    """Runs in the new process."""
    os.setsid()
    _redirect(out, err)
    _die_with(parent, life)
    sender = Sender(rows)
    threading.Thread(target=sender.flush_forever, daemon=True).start()
    try:
        _scrape(function, replace(task, _send=sender.send), sender)
        end: dict[str, Any] = {"kind": "done"}
    except Exception as error:
        trace = "" if isinstance(error, ScrapeError) and error.__cause__ is None else traceback.format_exc()
        end = {"kind": "error", "text": describe(error), "trace": trace, "permanent": _is_permanent(error)}
    sys.stdout.flush()
    sys.stderr.flush()
    sender.send(end)


def describe(error: BaseException) -> str:
    """The text of an exception for the user."""
    text = str(error).strip()
    if isinstance(error, ScrapeError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _is_permanent(error: Exception) -> bool:
    return isinstance(error, ScrapeError) and error.permanent


def _scrape(function: Source, task: Task, sender: Sender) -> None:
    items: object = function(task)
    if not isinstance(items, Iterable) or isinstance(items, str | bytes | dict):
        raise ScrapeError(f"the source returned a value of type {type(items).__name__} instead of properties")
    count = 0
    for item in items:
        if count == MAX_LISTINGS:
            raise ScrapeError(
                f"'{task.location}' has more than {MAX_LISTINGS} listings: use smaller locations, or set a limit",
                permanent=True,
            )
        sender.add(convert(item))
        count += 1
        if task.limit is not None and count >= task.limit:
            break
    if count == 0:
        sender.send({"kind": "log", "level": "info", "text": "no listings"})


def _redirect(out: Connection, err: Connection) -> None:
    """Redirects standard output and error, including those of child processes, to the worker process."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", 0, closefd=False), "utf-8", "replace", line_buffering=True)
    sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", 0, closefd=False), "utf-8", "replace", line_buffering=True)
    faulthandler.enable(sys.stderr)


def _die_with(parent: int, life: Connection) -> None:
    """Kills this process when the worker process ends, even by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        # The worker process never writes: the pipe becomes readable when its other end closes.
        life.poll(None)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    if os.getppid() != parent:
        os.killpg(0, signal.SIGKILL)
