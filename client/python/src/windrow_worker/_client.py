"""The connection to the server, its errors, and the back-off of retries."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import grpc
from google.rpc import error_details_pb2, status_pb2

from ._proto.windrow.v1 import worker_service_pb2 as pb
from ._proto.windrow.v1.worker_service_pb2_grpc import WorkerServiceStub

log = logging.getLogger("windrow_worker")

CHANNEL_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
]

# Codes that a retry would get again. All others are transient.
REFUSALS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


class SubmitStream(Protocol):
    """The responses of SubmitProperties."""

    def __next__(self) -> pb.SubmitPropertiesResponse: ...
    def cancel(self) -> bool: ...


class LeaseCall(Protocol):
    """A LeaseScrapingJobs call that can be cancelled."""

    def result(self) -> pb.LeaseScrapingJobsResponse: ...
    def cancel(self) -> bool: ...


class Client:
    """The calls of windrow.v1.WorkerService. All raise grpc.RpcError.

    `servers` are the addresses of servers on one database, separated by commas. Each of them accepts every
    call: if one stops or does not respond, later calls go to the next one.
    """

    def __init__(self, servers: str, worker_id: str) -> None:
        self.worker_id = worker_id
        addresses = [address.strip() for address in servers.split(",") if address.strip()]
        self._servers = [(address, _open(address)) for address in addresses]
        self._stubs: list[Any] = [WorkerServiceStub(channel) for _, channel in self._servers]  # type: ignore[no-untyped-call]
        self._place = 0
        self._lock = threading.Lock()

    def lease(self, request: pb.LeaseScrapingJobsRequest, timeout: float) -> LeaseCall:
        """Starts a LeaseScrapingJobs call."""
        with self._calling() as (place, stub):
            return _Call(self, place, stub.LeaseScrapingJobs.future(request, timeout=timeout))

    def heartbeat(self, request: pb.HeartbeatRequest, timeout: float) -> pb.HeartbeatResponse:
        """Sends a heartbeat."""
        with self._calling() as (_, stub):
            response: pb.HeartbeatResponse = stub.Heartbeat(request, timeout=timeout)
            return response

    def submit(self, requests: Iterator[pb.SubmitPropertiesRequest]) -> SubmitStream:
        """Opens a SubmitProperties stream."""
        with self._calling() as (place, stub):
            return _Call(self, place, stub.SubmitProperties(requests))

    def finish(self, request: pb.FinishScrapingJobRequest, timeout: float) -> pb.FinishScrapingJobResponse:
        """Finishes an attempt."""
        with self._calling() as (_, stub):
            response: pb.FinishScrapingJobResponse = stub.FinishScrapingJob(request, timeout=timeout)
            return response

    def sign_off(self, timeout: float) -> None:
        """Says that the worker leases no more runs."""
        self.heartbeat(pb.HeartbeatRequest(worker_id=self.worker_id, stopping=True), timeout)

    def leave(self, place: int | None = None) -> None:
        """Sends later calls to another server, unless a concurrent call to `place` has done so already."""
        with self._lock:
            if len(self._servers) == 1 or place not in (None, self._place):
                return
            self._place = (self._place + 1) % len(self._servers)
            log.info("Switching to server %s", self._servers[self._place][0])

    def close(self) -> None:
        """Closes the connections and cancels all calls."""
        for _, channel in self._servers:
            channel.close()

    @contextlib.contextmanager
    def _calling(self, place: int | None = None) -> Iterator[tuple[int, Any]]:
        """The current server. Switches to the next one if the call fails without a response."""
        place = self._place if place is None else place
        try:
            yield place, self._stubs[place]
        except grpc.RpcError as error:
            if not is_refusal(error) and _code(error) is not grpc.StatusCode.CANCELLED:
                self.leave(place)
            raise


class _Call:
    """A call in progress."""

    def __init__(self, client: Client, place: int, call: Any) -> None:
        self._client = client
        self._place = place
        self._call = call

    def result(self) -> Any:
        with self._client._calling(self._place):
            return self._call.result()

    def __next__(self) -> Any:
        with self._client._calling(self._place):
            return next(self._call)

    def cancel(self) -> bool:
        cancelled: bool = self._call.cancel()
        return cancelled


def _open(address: str) -> grpc.Channel:
    if address.startswith("https://"):
        credentials = grpc.ssl_channel_credentials(
            root_certificates=_read("WINDROW_CA_FILE"),
            private_key=_read("WINDROW_KEY_FILE"),
            certificate_chain=_read("WINDROW_CERTIFICATE_FILE"),
        )
        return grpc.secure_channel(address.removeprefix("https://"), credentials, options=CHANNEL_OPTIONS)
    return grpc.insecure_channel(address.removeprefix("http://"), options=CHANNEL_OPTIONS)


def _read(variable: str) -> bytes | None:
    """The content of the file that a variable names."""
    file = os.environ.get(variable)
    return Path(file).read_bytes() if file else None


def is_refusal(error: grpc.RpcError) -> bool:
    """Whether a retry would get the same error."""
    return _code(error) in REFUSALS


def is_lease_lost(error: grpc.RpcError) -> bool:
    """Whether the attempt has lost its lease or has ended."""
    return _code(error) is grpc.StatusCode.FAILED_PRECONDITION


def is_without_database(error: grpc.RpcError) -> bool:
    """Whether the database of the server does not respond. Until it does, no lease is lost."""
    info = error_details_pb2.ErrorInfo()
    return any(detail.Unpack(info) and info.reason == "DATABASE_UNAVAILABLE" for detail in _status_details(error))


def describe(error: grpc.RpcError) -> str:
    """The text of the error, with the invalid fields."""
    code = _code(error)
    details = _details(error)
    text = f"{code.name if code else 'UNKNOWN'}: {details}"
    # The message often repeats a single field.
    named = [violation for violation in _violations(error) if violation.description not in details]
    fields = [f"`{violation.field}`: {violation.description}" for violation in named]
    return f"{text} ({'; '.join(fields)})" if fields else text


def _code(error: grpc.RpcError) -> grpc.StatusCode | None:
    return error.code() if isinstance(error, grpc.Call) else None


def _details(error: grpc.RpcError) -> str:
    return (error.details() if isinstance(error, grpc.Call) else None) or str(error)


def _violations(error: grpc.RpcError) -> Iterator[error_details_pb2.BadRequest.FieldViolation]:
    for detail in _status_details(error):
        bad_request = error_details_pb2.BadRequest()
        if detail.Unpack(bad_request):
            yield from bad_request.field_violations


def _status_details(error: grpc.RpcError) -> Iterator[Any]:
    if not isinstance(error, grpc.Call):
        return
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            yield from status_pb2.Status.FromString(value).details


class Backoff:
    """Pauses between retries: double up to a limit, with jitter."""

    def __init__(self, first: float = 0.25, limit: float = 5.0) -> None:
        self._first = first
        self._limit = limit
        self._next = first

    def reset(self) -> None:
        """Starts again with the first pause, after a success."""
        self._next = self._first

    def next(self) -> float:
        """The next pause in seconds."""
        seconds = self._next * random.uniform(0.5, 1.0)
        self._next = min(self._next * 2, self._limit)
        return seconds
