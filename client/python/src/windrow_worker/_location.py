"""Scrapes one location: reads the messages of its process and submits its properties."""

from __future__ import annotations

import threading
import time
from typing import Any, Protocol

from ._child import Source
from ._outbox import Outbox, result
from ._process import Ended, Killed, LocationProcess
from ._proto.windrow.v1 import worker_service_pb2 as pb
from .task import Task

BATCH_ROWS = 500
BATCH_SECONDS = 1.0
BATCH_BYTES = 2 * 1024 * 1024
MAX_ROW_BYTES = 1024 * 1024


class TooLarge(Exception):
    """A property does not fit into a batch."""


class Reporter(Protocol):
    """The part of an attempt that a location uses."""

    outbox: Outbox
    stopped: threading.Event

    def submit(self, properties: list[pb.ScrapedProperty], results: list[pb.LocationResult]) -> None:
        """Submits a batch and waits for its acknowledgement."""

    def check_time(self) -> None:
        """Stops the attempt if its lease has expired or it has timed out."""


class Batch:
    """Rows that wait to be submitted."""

    def __init__(self, location: str, reporter: Reporter) -> None:
        self._location = location
        self._reporter = reporter
        self._rows: list[pb.ScrapedProperty] = []
        self._bytes = 0
        self._since = 0.0

    def add(self, property_id: str, body: dict[str, Any]) -> None:
        """Adds a row. Submits the waiting ones first if it does not fit."""
        row = pb.ScrapedProperty(property_id=property_id, location=self._location)
        row.body.update(body)
        size = row.ByteSize()
        if size > MAX_ROW_BYTES:
            raise TooLarge(f"property '{property_id}' has {size} bytes; the maximum is {MAX_ROW_BYTES}")
        if self._bytes + size > BATCH_BYTES or len(self._rows) == BATCH_ROWS:
            self._submit([])
        if not self._rows:
            self._since = time.monotonic()
        self._rows.append(row)
        self._bytes += size

    def submit_due(self) -> None:
        """Submits the rows if the batch is full or old enough."""
        waited = time.monotonic() - self._since >= BATCH_SECONDS
        if self._rows and (waited or len(self._rows) == BATCH_ROWS):
            self._submit([])

    def end(self, location_result: pb.LocationResult) -> None:
        """Reports the result of the location: with its last rows, or else with the next heartbeat."""
        if self._rows:
            self._submit([location_result])
        else:
            self._reporter.outbox.add_result(location_result)

    def _submit(self, results: list[pb.LocationResult]) -> None:
        self._reporter.submit(self._rows, results)
        self._rows = []
        self._bytes = 0


def run_location(source: Source, task: Task, timeout: float, reporter: Reporter) -> bool:
    """Scrapes the location and reports its result; False if the attempt was stopped."""
    outbox = reporter.outbox
    batch = Batch(task.location, reporter)
    outbox.log(task.location, "started")
    process = LocationProcess(source, task, timeout)
    ended = False
    try:
        location_result = _read(process, task, batch, reporter)
        ended = location_result is not None
    except (Ended, Killed, TooLarge) as error:
        location_result = result(task.location, str(error), permanent=isinstance(error, TooLarge))
    finally:
        process.close(ended=ended)
        for output, level in ((process.stdout, "info"), (process.stderr, "warning")):
            for line in output.lines():
                outbox.log(task.location, line, level)
    if location_result is None or reporter.stopped.is_set():
        outbox.log(task.location, "stopped", "warning")
        return False
    if location_result.error_message:
        outbox.log(task.location, location_result.error_message, "error")
    batch.end(location_result)
    return True


def _read(
    process: LocationProcess, task: Task, batch: Batch, reporter: Reporter
) -> pb.LocationResult | None:
    """The result from the process; None if the attempt was stopped."""

    def stopped() -> bool:
        reporter.check_time()
        return reporter.stopped.is_set()

    for message in process.messages(stopped):
        match message:
            case {"kind": "rows", "rows": rows}:
                for property_id, body in rows:
                    batch.add(property_id, body)
            case {"kind": "log", "text": text, "level": level}:
                reporter.outbox.log(task.location, text, level)
            case {"kind": "error", "text": text, "trace": trace, "permanent": permanent}:
                reporter.outbox.log(task.location, trace, "error")
                return result(task.location, text or "the source failed", permanent=permanent)
            case {"kind": "done"}:
                return result(task.location)
        batch.submit_due()
    return None
