"""One attempt: its lease, its stop, and its end."""

from __future__ import annotations

import logging
import threading
import time
from enum import Enum

import grpc

from ._child import Source
from ._client import Backoff, Client, describe, is_lease_lost, is_refusal
from ._location import run_location
from ._outbox import Outbox
from ._proto.windrow.v1 import worker_service_pb2 as pb
from ._submit import LeaseLost, Rejected, Stopped, Submitter
from ._tasks import make_task

log = logging.getLogger("windrow_worker")

DEFAULT_DELAY_SECONDS = 1.0
FINISH_SECONDS = 10.0
# For the heartbeat in progress, before the attempt is finished.
DRAIN_SECONDS = 5.0
# The attempt stops a little before its timeout, so that it can still report the reason.
EXPIRY_MARGIN_SECONDS = 2.0


class Stop(Enum):
    """The reason why an attempt has to stop."""

    LOST = "the lease is lost"
    CANCEL = "the run is cancelled"
    EXPIRED = "the attempt timed out"
    SHUTDOWN = "the worker is shutting down"
    FAILED = "the worker failed"


class NoSource(Exception):
    """The worker does not have the source of the lease."""


class Attempt:
    """An attempt and the thread that executes it."""

    def __init__(
        self, client: Client, lease: pb.Lease, asked_at: float, source: Source | None, timeout: float
    ) -> None:
        job = lease.scraping_job
        self.id = pb.Attempt(job_id=job.job_id, attempt=job.attempt)
        self.name = f"{job.job_id}, attempt {job.attempt}"
        self.outbox = Outbox()
        self.stopped = threading.Event()
        self.lost = threading.Event()
        self.stop_reason: Stop | None = None
        # From then on only the answer to the final call says whether the lease was lost.
        self.finishing = False
        self._completed = False
        self._failure = ""
        seconds = lease.attempt_expires_in.ToTimedelta().total_seconds()
        self._ends_at = asked_at + seconds - min(EXPIRY_MARGIN_SECONDS, seconds / 10)
        self.expires_at = asked_at
        self.set_expiry(asked_at, lease.expires_in.ToTimedelta().total_seconds())
        self._client = client
        self._lease = lease
        self._source = source
        self._timeout = timeout
        self._lock = threading.Lock()
        self._submitter = Submitter(client, self.id, job.properties_scraped, self.stopped)

    def stop(self, reason: Stop) -> None:
        """Stops the attempt. The first reason counts, except that a lost lease replaces any other."""
        with self._lock:
            if self.stop_reason is Stop.LOST or (self.stop_reason and reason is not Stop.LOST):
                return
            self.stop_reason = reason
        log.log(
            logging.WARNING if reason is Stop.LOST else logging.INFO, "%s: stopping: %s", self.name, reason.value
        )
        if reason is Stop.LOST:
            self.lost.set()
        self.stopped.set()
        self._submitter.close()

    def fail(self, reason: str) -> None:
        """Stops the attempt, which ends as failed for this reason."""
        self._failure = reason
        self.stop(Stop.FAILED)

    def set_expiry(self, before: float, seconds: float) -> None:
        """Sets the end of the lease, as a response says that was requested at `before`."""
        self._lease_seconds = seconds
        self.expires_at = before + seconds

    def postpone_expiry(self, before: float) -> None:
        """Keeps the attempt for another lease: a call at `before` found the server without its database."""
        self.expires_at = max(self.expires_at, before + self._lease_seconds)

    def check_time(self) -> None:
        """Stops the attempt if its lease has expired or it has timed out."""
        now = time.monotonic()
        if now > self.expires_at:
            self.stop(Stop.LOST)
        elif now > self._ends_at:
            self.stop(Stop.EXPIRED)

    def run(self) -> None:
        """Executes the attempt to its end."""
        log.info("%s: started with %d locations", self.name, len(self._lease.locations))
        failure = ""
        try:
            self._run_locations()
            self._completed = True
        except Stopped:
            pass
        except LeaseLost:
            self.stop(Stop.LOST)
        except NoSource as error:
            failure = str(error)
        except Rejected as error:
            failure = f"the server rejected properties: {error}"
        except Exception as error:
            log.exception("%s: failed", self.name)
            failure = f"the worker failed: {type(error).__name__}: {error}"
        self._submitter.close()
        self._finish(failure)

    def _run_locations(self) -> None:
        parameters = self._lease.scraping_job.parameters
        if self._source is None:
            raise NoSource(f"this worker has no source '{parameters.source}'")
        delay = DEFAULT_DELAY_SECONDS
        if parameters.HasField("request_delay"):
            delay = parameters.request_delay.ToTimedelta().total_seconds()
        for index, location in enumerate(self._lease.locations):
            if self.stopped.wait(delay if index else 0.0):
                raise Stopped
            task = make_task(self._lease, location)
            if not run_location(self._source, task, self._timeout, self):
                raise Stopped

    def submit(self, properties: list[pb.ScrapedProperty], results: list[pb.LocationResult]) -> None:
        """Submits a batch; see Submitter.submit."""
        response = self._submitter.submit(properties, results)
        if response.cancel_requested:
            self.stop(Stop.CANCEL)

    def _finish(self, failure: str) -> None:
        """Reports the end of the attempt, with retries while its lease may last."""
        if self.lost.is_set():
            return
        request = pb.FinishScrapingJobRequest(attempt=self.id, worker_id=self._client.worker_id)
        if self._completed:
            request.outcome = pb.ATTEMPT_OUTCOME_DONE
        elif self.stop_reason is Stop.CANCEL:
            request.outcome = pb.ATTEMPT_OUTCOME_CANCELLED
        elif self.stop_reason is Stop.SHUTDOWN:
            request.outcome = pb.ATTEMPT_OUTCOME_RELEASED
        else:
            request.outcome = pb.ATTEMPT_OUTCOME_FAILED
            request.error_message = failure or self._failure or "attempt timeout exceeded"
        self.outbox.close(DRAIN_SECONDS)
        self.outbox.fill(request)
        self.finishing = True
        backoff = Backoff()
        while not self.lost.is_set():
            try:
                self._client.finish(request, FINISH_SECONDS)
            except grpc.RpcError as error:
                if is_lease_lost(error):
                    log.warning("%s: lost its lease before it was finished: %s", self.name, describe(error))
                    return
                if is_refusal(error):
                    log.error("%s: the server rejected its end: %s", self.name, describe(error))
                    return
                log.warning("%s: failed to finish; retrying: %s", self.name, describe(error))
                self.lost.wait(backoff.next())
            else:
                outcome = pb.AttemptOutcome.Name(request.outcome).removeprefix("ATTEMPT_OUTCOME_")
                log.info("%s: finished: %s", self.name, outcome)
                return
