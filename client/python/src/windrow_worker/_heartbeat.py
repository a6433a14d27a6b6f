"""Heartbeats of the worker process."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import grpc
from google.protobuf.duration_pb2 import Duration

from ._attempt import Attempt, Stop
from ._client import Client, describe, is_refusal, is_without_database
from ._held import Held
from ._proto.windrow.v1 import worker_service_pb2 as pb

log = logging.getLogger("windrow_worker")

DEFAULT_INTERVAL_SECONDS = 1.0
MIN_INTERVAL_SECONDS = 0.05
ANSWER_SECONDS = 5.0
# Minimum pause between two heartbeats, for responses that come at once.
GAP_SECONDS = 0.02


class Heartbeats:
    """Sends heartbeats for all attempts together, and stops attempts that have expired."""

    def __init__(self, client: Client, worker_id: str, held: Held, fail: Callable[[str], None]) -> None:
        self._client = client
        self._worker_id = worker_id
        self._held = held
        self._fail = fail
        self._interval = DEFAULT_INTERVAL_SECONDS
        self._wake = threading.Event()
        self._stopped = False

    def set_interval(self, interval: Duration) -> None:
        """Sets the interval that the server requests."""
        seconds = interval.ToTimedelta().total_seconds()
        if seconds > 0:
            self._interval = max(seconds, MIN_INTERVAL_SECONDS)

    def send_now(self) -> None:
        """Sends the next heartbeat at once."""
        self._wake.set()

    def stop(self) -> None:
        """Ends `run`."""
        self._stopped = True
        self._wake.set()

    def run(self) -> None:
        """Sends heartbeats until `stop`. Runs in a thread. An error ends the attempts and the worker."""
        try:
            self._send_until_stopped()
        except Exception as error:
            log.exception("Failed to send heartbeats")
            reason = f"the worker failed to send heartbeats: {type(error).__name__}: {error}"
            # No attempt begins after this.
            self._fail(reason)
            for attempt in self._held.attempts():
                attempt.fail(reason)

    def _send_until_stopped(self) -> None:
        while not self._stopped:
            attempts = self._held.attempts()
            for attempt in attempts:
                attempt.check_time()
            attempts = [attempt for attempt in attempts if not attempt.lost.is_set()]
            waited = bool(attempts) and self._send(attempts)
            self._wake.wait(GAP_SECONDS if waited else self._interval)
            self._wake.clear()

    def _send(self, attempts: list[Attempt]) -> bool:
        """Sends one heartbeat; True if the server waited for news or for the interval before it responded."""
        carrying: list[Attempt] = []
        stored: set[Attempt] = set()
        success = False
        before = time.monotonic()
        try:
            request = pb.HeartbeatRequest(worker_id=self._worker_id)
            for attempt in attempts:
                is_cancelled = attempt.stop_reason is Stop.CANCEL
                report = request.attempts.add(attempt=attempt.id, cancel_acknowledged=is_cancelled)
                if attempt.outbox.fill(report):
                    carrying.append(attempt)
            # A heartbeat with results must not wait: the end of an attempt may wait for it.
            wait = 0.0 if carrying else self._interval
            request.wait.FromMilliseconds(int(wait * 1000))
            soonest = min(attempt.expires_at for attempt in attempts) - before
            response = self._client.heartbeat(request, max(0.2, min(wait + ANSWER_SECONDS, soonest)))
            success = True
            stored = self._take(attempts, response, before)
        except grpc.RpcError as error:
            if is_without_database(error):
                for attempt in attempts:
                    attempt.postpone_expiry(before)
            if is_refusal(error):
                self._fail(f"the server rejected a heartbeat: {describe(error)}")
            elif not self._stopped:
                log.warning("Heartbeat failed; retrying: %s", describe(error))
        finally:
            for attempt in carrying:
                attempt.outbox.sent(success=attempt in stored)
        return success and not carrying

    def _take(self, attempts: list[Attempt], response: pb.HeartbeatResponse, before: float) -> set[Attempt]:
        """Applies a response; the attempts whose results and lines are stored."""
        self.set_interval(response.heartbeat_interval)
        if response.draining:
            self._client.leave()
        states = {(state.attempt.job_id, state.attempt.attempt): state for state in response.attempts}
        stored = set()
        for attempt in attempts:
            state = states.get((attempt.id.job_id, attempt.id.attempt))
            if state is None:
                continue
            if not state.update_pending:
                stored.add(attempt)
            if state.lease_lost:
                # The final call may have ended the attempt before this heartbeat was answered.
                if not attempt.finishing:
                    attempt.stop(Stop.LOST)
                continue
            if state.HasField("expires_in"):
                attempt.set_expiry(before, state.expires_in.ToTimedelta().total_seconds())
            if state.cancel_requested:
                attempt.stop(Stop.CANCEL)
        return stored
