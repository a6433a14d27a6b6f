"""A WorkerService for tests: keeps in memory what a worker says, and fails on request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

from windrow_worker._proto.windrow.v1 import scrape_parameters_pb2 as parameters_pb
from windrow_worker._proto.windrow.v1 import worker_service_pb2 as pb
from windrow_worker._proto.windrow.v1 import worker_service_pb2_grpc as pb_grpc


class Job:
    """A run of the fake server and what was said of it."""

    def __init__(self, job_id: str, source: str, locations: list[str], **parameters: Any) -> None:
        self.lease = pb.Lease(locations=locations)
        self.lease.scraping_job.job_id = job_id
        self.lease.scraping_job.attempt = 1
        self.lease.scraping_job.scheduled_job_id = "nightly"
        self.lease.scraping_job.parameters.CopyFrom(
            parameters_pb.ScrapeParameters(locations=locations, source=source, **parameters)
        )
        self.lease.scraping_job.parameters.request_delay.FromMilliseconds(20)
        self.lease.expires_in.FromSeconds(30)
        self.lease.attempt_expires_in.FromSeconds(600)
        self.lease.reference_time.FromJsonString("2026-03-10T12:00:00Z")
        self.leased = threading.Event()
        self.cancel = False
        self.lost = False
        self.scraped = 0
        self.rows: list[pb.ScrapedProperty] = []
        self.batches: list[pb.SubmitPropertiesRequest] = []
        self.results: dict[str, pb.LocationResult] = {}
        self.logs: list[Any] = []
        self.finish: pb.FinishScrapingJobRequest | None = None
        self.finished_at = 0.0
        self.reports_after_loss = 0
        # The next report is not stored, as if another transaction had locked the run.
        self.locked = False

    def texts(self, location: str | None = None) -> list[str]:
        """The lines of its log."""
        return [line.text for line in self.logs if location in (None, line.location)]


def abort(context: grpc.ServicerContext, code: grpc.StatusCode, text: str, detail: Any) -> None:
    """Ends a call with google.rpc details."""
    packed = AnyMessage()
    packed.Pack(detail)
    status = status_pb2.Status(code=code.value[0], message=text, details=[packed])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, text)


class FakeServer(pb_grpc.WorkerServiceServicer):
    """Start it, add jobs, wait for what becomes of them."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.jobs: dict[str, Job] = {}
        self.known_sources: set[str] | None = None
        # Called with each batch before (False) and after (True) it is taken; an exception ends the stream.
        self.on_batch: Callable[[pb.SubmitPropertiesRequest, bool], None] = lambda batch, taken: None
        # Called when a run has been finished, before the response.
        self.on_finished: Callable[[Job], None] = lambda job: None
        self.lost_answers = 0
        self.signed_off: list[str] = []
        self.has_database = True
        self.lease_requests: list[pb.LeaseScrapingJobsRequest] = []
        self.heartbeats = 0
        self.expires_in = 30.0
        self._server: grpc.Server | None = None
        self.port = 0
        self.up = False

    def start(self) -> str:
        """Serves, on the same port as before; the address."""
        self._server = grpc.server(futures.ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 1)])
        pb_grpc.add_WorkerServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()
        self.up = True
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Goes away at once."""
        self.up = False
        with self.changed:
            self.changed.notify_all()
        if self._server:
            self._server.stop(0).wait()
            self._server = None

    def add(self, job: Job) -> Job:
        """Makes a job ready."""
        with self.changed:
            self.jobs[job.lease.scraping_job.job_id] = job
            self.changed.notify_all()
        return job

    def wait(self, condition: Callable[[], object], timeout: float = 30.0) -> None:
        """Waits until something is so."""
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, "timed out"
            time.sleep(0.02)

    def wait_finished(self, job: Job, timeout: float = 30.0) -> pb.FinishScrapingJobRequest:
        """Waits for the job's end; how it was finished."""
        self.wait(lambda: job.finish, timeout)
        assert job.finish
        return job.finish

    def LeaseScrapingJobs(self, request: Any, context: Any) -> Any:
        unknown = set(request.sources) - (self.known_sources or set(request.sources))
        if unknown:
            field = error_details_pb2.BadRequest.FieldViolation(
                field="sources[0]", description=f"the server does not know '{unknown.pop()}'"
            )
            detail = error_details_pb2.BadRequest(field_violations=[field])
            abort(context, grpc.StatusCode.INVALID_ARGUMENT, "the request is invalid", detail)
        response = pb.LeaseScrapingJobsResponse()
        response.heartbeat_interval.FromMilliseconds(100)
        asked_at = time.monotonic()
        deadline = asked_at + min(request.wait.seconds, 20)
        with self.changed:
            self.lease_requests.append(request)
            while self.up and context.is_active() and time.monotonic() < deadline:
                ready = [job for job in self.jobs.values() if not job.leased.is_set()]
                for job in ready[: request.capacity]:
                    job.leased.set()
                    lease = response.leases.add()
                    lease.CopyFrom(job.lease)
                    # From before the call, as the contract has it.
                    for length in (lease.expires_in, lease.attempt_expires_in):
                        length.FromTimedelta(length.ToTimedelta() + timedelta(seconds=time.monotonic() - asked_at))
                if ready:
                    break
                self.changed.wait(0.05)
        return response

    def Heartbeat(self, request: Any, context: Any) -> Any:
        response = pb.HeartbeatResponse()
        response.heartbeat_interval.FromMilliseconds(100)
        self.heartbeats += 1
        if request.stopping:
            self.signed_off.append(request.worker_id)
        if not self.has_database:
            detail = error_details_pb2.ErrorInfo(reason="DATABASE_UNAVAILABLE", domain="windrow")
            abort(context, grpc.StatusCode.UNAVAILABLE, "the database is not available", detail)
        until = time.monotonic() + request.wait.ToTimedelta().total_seconds()
        while time.monotonic() < until and not any(map(self._is_news, request.attempts)):
            time.sleep(0.01)
        for report in request.attempts:
            job = self.jobs[report.attempt.job_id]
            state = response.attempts.add(attempt=report.attempt, lease_lost=job.lost or job.finish is not None)
            state.expires_in.FromMilliseconds(int(self.expires_in * 1000))
            state.cancel_requested = job.cancel
            self.lost_answers += state.lease_lost
            if job.lost:
                job.reports_after_loss += 1
            elif job.locked:
                state.update_pending = bool(report.location_results or report.logs)
                job.locked = not state.update_pending
            elif job.finish is None:
                self._report(job, report)
        return response

    def _is_news(self, report: Any) -> bool:
        job = self.jobs[report.attempt.job_id]
        return job.lost or job.finish is not None or (job.cancel and not report.cancel_acknowledged)

    def SubmitProperties(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:
        for request in requests:
            job = self.jobs[request.attempt.job_id]
            self._check_lease(job, context)
            self.on_batch(request, False)
            job.batches.append(request)
            again = len(job.batches) > 1 and request == job.batches[-2]
            if not again:
                if request.scraped_before != job.scraped:
                    detail = error_details_pb2.BadRequest()
                    abort(context, grpc.StatusCode.INVALID_ARGUMENT, "scraped_before is wrong", detail)
                job.scraped += len(request.properties)
                job.rows.extend(request.properties)
                self._report(job, request)
            self.on_batch(request, True)
            yield pb.SubmitPropertiesResponse(
                attempt=request.attempt, properties_scraped=job.scraped, cancel_requested=job.cancel
            )

    def FinishScrapingJob(self, request: Any, context: Any) -> Any:
        job = self.jobs[request.attempt.job_id]
        self._check_lease(job, context)
        if job.finish is None:
            self._report(job, request)
            job.finish = request
            job.finished_at = time.monotonic()
            self.on_finished(job)
        return pb.FinishScrapingJobResponse(scraping_job=job.lease.scraping_job)

    def _report(self, job: Job, report: Any) -> None:
        for result in report.location_results:
            job.results[result.location] = result
        job.logs.extend(report.logs)

    def _check_lease(self, job: Job, context: Any) -> None:
        if job.lost:
            job.reports_after_loss += 1
            detail = error_details_pb2.ErrorInfo(reason="LEASE_LOST", domain="windrow")
            abort(context, grpc.StatusCode.FAILED_PRECONDITION, "the lease is lost", detail)
