"""One attempt: its lease, why it is to stop, and how it is finished."""

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
from ._submit import LeaseLost, Refused, Stopped, Submitter
from ._tasks import make_task

log = logging.getLogger("windrow_worker")

DEFAULT_DELAY_SECONDS = 1.0
FINISH_SECONDS = 10.0
# For the heartbeat under way, before the attempt is finished.
DRAIN_SECONDS = 5.0
# The attempt stops a little before its time is over, so that it can say so.
EXPIRY_MARGIN_SECONDS = 2.0


class Stop(Enum):
    """Why an attempt is to stop."""

    LOST = "its lease is lost"
    CANCEL = "its run is to be cancelled"
    EXPIRED = "it ran out of time"
    SHUTDOWN = "the worker stops"


class NoSource(Exception):
    """The lease is for a source that the worker does not have."""


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
        self._completed = False
        seconds = lease.attempt_expires_in.ToTimedelta().total_seconds()
        self._ends_at = asked_at + seconds - min(EXPIRY_MARGIN_SECONDS, seconds / 10)
        self.expires_at = asked_at + lease.expires_in.ToTimedelta().total_seconds()
        self._client = client
        self._lease = lease
        self._source = source
        self._timeout = timeout
        self._lock = threading.Lock()
        self._submitter = Submitter(client, self.id, job.properties_scraped, self.stopped)

    def stop(self, reason: Stop) -> None:
        """Makes the attempt stop; the first reason counts, but a lost lease comes before all others."""
        with self._lock:
            if self.stop_reason is Stop.LOST or (self.stop_reason and reason is not Stop.LOST):
                return
            self.stop_reason = reason
        log.log(
            logging.WARNING if reason is Stop.LOST else logging.INFO, "%s: stopped: %s", self.name, reason.value
        )
        if reason is Stop.LOST:
            self.lost.set()
        self.stopped.set()
        self._submitter.close()

    def check_time(self) -> None:
        """Stops the attempt when its lease or its time is over."""
        now = time.monotonic()
        if now > self.expires_at:
            self.stop(Stop.LOST)
        elif now > self._ends_at:
            self.stop(Stop.EXPIRED)

    def run(self) -> None:
        """Executes the attempt to its end."""
        log.info("%s: begins with %d locations", self.name, len(self._lease.locations))
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
        except Refused as error:
            failure = f"the server refused properties: {error}"
        except Exception as error:
            log.exception("%s: failed", self.name)
            failure = f"the worker failed: {type(error).__name__}: {error}"
        self._submitter.close()
        self._finish(failure)

    def _run_locations(self) -> None:
        parameters = self._lease.scraping_job.parameters
        if self._source is None:
            raise NoSource(f"the worker has no source '{parameters.source}'")
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
        """Says how the attempt ended, until the server has heard it."""
        if self.lost.is_set():
            return
        request = pb.FinishScrapingJobRequest(attempt=self.id)
        if self._completed:
            request.outcome = pb.ATTEMPT_OUTCOME_DONE
        elif self.stop_reason is Stop.CANCEL:
            request.outcome = pb.ATTEMPT_OUTCOME_CANCELLED
        elif self.stop_reason is Stop.SHUTDOWN:
            request.outcome = pb.ATTEMPT_OUTCOME_RELEASED
        else:
            request.outcome = pb.ATTEMPT_OUTCOME_FAILED
            request.error_message = failure or "the attempt ran out of time"
        self.outbox.close(DRAIN_SECONDS)
        self.outbox.fill(request)
        backoff = Backoff()
        while not self.lost.is_set():
            try:
                self._client.finish(request, FINISH_SECONDS)
            except grpc.RpcError as error:
                if is_lease_lost(error):
                    log.warning("%s: it had ended before it was finished: %s", self.name, describe(error))
                    return
                if is_refusal(error):
                    log.error("%s: the server refused its end: %s", self.name, describe(error))
                    return
                log.warning("%s: cannot be finished, trying again: %s", self.name, describe(error))
                self.lost.wait(backoff.next())
            else:
                outcome = pb.AttemptOutcome.Name(request.outcome).removeprefix("ATTEMPT_OUTCOME_")
                log.info("%s: finished, %s", self.name, outcome)
                return
