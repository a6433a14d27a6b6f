"""Leases runs, keeps their leases, and shuts down."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import grpc

from ._attempt import Attempt, Stop
from ._child import Source
from ._client import Backoff, Client, LeaseCall, describe, is_refusal
from ._heartbeat import Heartbeats
from ._held import Held
from ._proto.windrow.v1 import worker_service_pb2 as pb

log = logging.getLogger("windrow_worker")

WAIT_SECONDS = 20
# An empty response before this time means that the server did not wait.
MIN_WAIT_SECONDS = 1.0
# Timeout after the wait.
ANSWER_SECONDS = 10
# Timeout of the call that says that the worker stops.
SIGN_OFF_SECONDS = 2.0
# Time to return killed attempts.
RELEASE_SECONDS = 10.0


@dataclass(frozen=True)
class SourceEntry:
    """A registered source."""

    function: Source
    timeout: float


class Engine:
    """The threads of a running worker."""

    def __init__(self, server: str, worker_id: str, capacity: int, sources: Mapping[str, SourceEntry]) -> None:
        self.stopping = threading.Event()
        self.error: str | None = None
        self._worker_id = worker_id
        self._capacity = capacity
        self._sources = sources
        self._client = Client(server, worker_id)
        self._held = Held()
        self._heartbeats = Heartbeats(self._client, worker_id, self._held, self._fail)
        self._lock = threading.Lock()
        self._call: LeaseCall | None = None
        self._leasing = threading.Thread(target=self._lease_until_stopped, daemon=True)
        self._beating = threading.Thread(target=self._heartbeats.run, daemon=True)

    def start(self) -> None:
        """Starts leasing and heartbeats."""
        self._leasing.start()
        self._beating.start()

    def stop(self, grace: float) -> None:
        """Stops leasing, waits `grace` seconds for running attempts, and returns the others to pending."""
        self.stopping.set()
        with self._lock:
            if self._call:
                self._call.cancel()
        self._leasing.join(ANSWER_SECONDS)
        self._sign_off()
        if self._held.attempts():
            log.info("Shutting down: waiting up to %g s for running attempts", grace)
        if not self._held.wait_empty(grace):
            for attempt in self._held.attempts():
                attempt.stop(Stop.SHUTDOWN)
            self._held.wait_empty(RELEASE_SECONDS)
        self._heartbeats.stop()
        self._beating.join(ANSWER_SECONDS)
        self._client.close()

    def _sign_off(self) -> None:
        """Runs that wait for a worker must not wait for this one. Otherwise the server forgets it in a minute."""
        try:
            self._client.sign_off(SIGN_OFF_SECONDS)
        except grpc.RpcError as error:
            log.debug("Failed to sign off: %s", describe(error))

    def _fail(self, error: str) -> None:
        """Ends the worker."""
        self.error = self.error or error
        self.stopping.set()

    def _lease_until_stopped(self) -> None:
        try:
            self._lease_runs()
        except Exception as error:
            log.exception("Failed to lease runs")
            self._fail(f"the worker failed to lease runs: {type(error).__name__}: {error}")

    def _lease_runs(self) -> None:
        backoff = Backoff()
        while not self.stopping.is_set():
            free = self._capacity - len(self._held.attempts())
            if free <= 0:
                self._held.wait_changed(1.0)
                continue
            begun = time.monotonic()
            try:
                response = self._lease(free)
            except grpc.FutureCancelledError:
                continue
            except grpc.RpcError as error:
                if self.stopping.is_set():
                    return
                if is_refusal(error):
                    self._fail(f"the server rejected this worker: {describe(error)}")
                    return
                log.warning("Failed to lease runs; retrying: %s", describe(error))
                self.stopping.wait(backoff.next())
                continue
            self._heartbeats.set_interval(response.heartbeat_interval)
            for lease in response.leases:
                self._begin(lease, begun)
            if response.draining:
                log.info("The server is shutting down")
                self._client.leave()
            if response.leases or not (response.draining or time.monotonic() - begun < MIN_WAIT_SECONDS):
                backoff.reset()
            else:
                # The server did not wait: pause before the next call.
                self.stopping.wait(backoff.next())

    def _lease(self, free: int) -> pb.LeaseScrapingJobsResponse:
        request = pb.LeaseScrapingJobsRequest(
            worker_id=self._worker_id,
            sources=sorted(self._sources),
            capacity=free,
            held=[attempt.id for attempt in self._held.attempts() if not attempt.lost.is_set()],
        )
        request.wait.FromSeconds(WAIT_SECONDS)
        with self._lock:
            self._call = self._client.lease(request, WAIT_SECONDS + ANSWER_SECONDS)
            if self.stopping.is_set():
                self._call.cancel()
        return self._call.result()

    def _begin(self, lease: pb.Lease, asked_at: float) -> None:
        """Starts an attempt that was leased by a call at `asked_at`, unless it is held already."""
        name = lease.scraping_job.parameters.source
        if not name and len(self._sources) == 1:
            name = next(iter(self._sources))
        entry = self._sources.get(name)
        attempt = Attempt(
            self._client, lease, asked_at, entry.function if entry else None, entry.timeout if entry else 0.0
        )
        if not self._held.add(attempt):
            return
        self._heartbeats.send_now()
        if self.stopping.is_set():
            attempt.stop(Stop.SHUTDOWN)
        threading.Thread(target=self._run, args=(attempt,), name=attempt.name, daemon=True).start()

    def _run(self, attempt: Attempt) -> None:
        try:
            attempt.run()
        finally:
            self._held.remove(attempt)
