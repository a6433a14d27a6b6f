"""Submits the properties of one attempt."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator

import grpc

from ._client import Backoff, Client, SubmitStream, describe, is_lease_lost, is_refusal
from ._proto.windrow.v1 import worker_service_pb2 as pb

log = logging.getLogger("windrow_worker")

ANSWER_SECONDS = 30.0


class LeaseLost(Exception):
    """The attempt has lost its lease, or has ended."""


class Rejected(Exception):
    """The server rejected a batch."""


class Stopped(Exception):
    """The attempt has to stop."""


class Submitter:
    """A SubmitProperties stream that is reopened after a failure."""

    def __init__(self, client: Client, attempt: pb.Attempt, scraped: int, stopped: threading.Event) -> None:
        self._client = client
        self._attempt = attempt
        self._scraped = scraped
        self._stopped = stopped
        self._lock = threading.Lock()
        self._stream: SubmitStream | None = None
        self._requests: queue.SimpleQueue[pb.SubmitPropertiesRequest | None] = queue.SimpleQueue()

    def submit(
        self, properties: list[pb.ScrapedProperty], results: list[pb.LocationResult]
    ) -> pb.SubmitPropertiesResponse:
        """Sends a batch, with retries, until it is acknowledged. Raises LeaseLost, Rejected or Stopped."""
        request = pb.SubmitPropertiesRequest(
            worker_id=self._client.worker_id,
            attempt=self._attempt,
            scraped_before=self._scraped,
            properties=properties,
            location_results=results,
        )
        backoff = Backoff()
        while not self._stopped.is_set():
            try:
                response = self._exchange(request)
            except (grpc.RpcError, StopIteration) as error:
                self.close()
                if self._stopped.is_set():
                    break
                reason = _check(error)
                log.warning("%s: failed to submit properties; retrying: %s", self._attempt.job_id, reason)
                self._stopped.wait(backoff.next())
            else:
                self._scraped = response.properties_scraped
                return response
        raise Stopped

    def close(self) -> None:
        """Closes the stream, so a concurrent `submit` fails. Thread-safe."""
        with self._lock:
            if self._stream:
                self._requests.put(None)
                self._stream.cancel()
                self._stream = None

    def _exchange(self, request: pb.SubmitPropertiesRequest) -> pb.SubmitPropertiesResponse:
        stream = self._open()
        self._requests.put(request)
        timer = threading.Timer(ANSWER_SECONDS, stream.cancel)
        timer.daemon = True
        timer.start()
        try:
            return next(stream)
        finally:
            timer.cancel()

    def _open(self) -> SubmitStream:
        with self._lock:
            if self._stopped.is_set():
                raise Stopped
            if self._stream is None:
                self._requests = queue.SimpleQueue()
                self._stream = self._client.submit(_iterate(self._requests.get))
            return self._stream


def _iterate(get: Callable[[], pb.SubmitPropertiesRequest | None]) -> Iterator[pb.SubmitPropertiesRequest]:
    while (request := get()) is not None:
        yield request


def _check(error: grpc.RpcError | StopIteration) -> str:
    """The text of a transient error. Raises for the others."""
    if isinstance(error, StopIteration):
        return "the server closed the stream"
    if is_lease_lost(error):
        raise LeaseLost(describe(error)) from error
    if is_refusal(error):
        raise Rejected(describe(error)) from error
    return describe(error)
