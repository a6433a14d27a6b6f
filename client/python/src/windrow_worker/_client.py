"""The connection to the server, its errors, and how to wait before the next try."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Protocol

import grpc
from google.rpc import error_details_pb2, status_pb2

from ._proto.windrow.v1 import worker_service_pb2 as pb
from ._proto.windrow.v1.worker_service_pb2_grpc import WorkerServiceStub

CHANNEL_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
]

# Codes that speak of the request. All others are troubles of the connection or the server, which pass.
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
    """The answers of a stream of SubmitProperties."""

    def __next__(self) -> pb.SubmitPropertiesResponse: ...
    def cancel(self) -> bool: ...


class LeaseCall(Protocol):
    """A call of LeaseScrapingJobs that may be cancelled."""

    def result(self) -> pb.LeaseScrapingJobsResponse: ...
    def cancel(self) -> bool: ...


class Client:
    """The calls of windrow.v1.WorkerService. All raise grpc.RpcError."""

    def __init__(self, server: str) -> None:
        if server.startswith("https://"):
            target, credentials = server.removeprefix("https://"), grpc.ssl_channel_credentials()
            self._channel = grpc.secure_channel(target, credentials, options=CHANNEL_OPTIONS)
        else:
            self._channel = grpc.insecure_channel(server.removeprefix("http://"), options=CHANNEL_OPTIONS)
        self._stub: Any = WorkerServiceStub(self._channel)  # type: ignore[no-untyped-call]

    def lease(self, request: pb.LeaseScrapingJobsRequest, timeout: float) -> LeaseCall:
        """Begins a call of LeaseScrapingJobs."""
        call: LeaseCall = self._stub.LeaseScrapingJobs.future(request, timeout=timeout)
        return call

    def heartbeat(self, request: pb.HeartbeatRequest, timeout: float) -> pb.HeartbeatResponse:
        """Heartbeat."""
        response: pb.HeartbeatResponse = self._stub.Heartbeat(request, timeout=timeout)
        return response

    def submit(self, requests: Iterator[pb.SubmitPropertiesRequest]) -> SubmitStream:
        """Opens a stream of SubmitProperties."""
        stream: SubmitStream = self._stub.SubmitProperties(requests)
        return stream

    def finish(self, request: pb.FinishScrapingJobRequest, timeout: float) -> pb.FinishScrapingJobResponse:
        """FinishScrapingJob."""
        response: pb.FinishScrapingJobResponse = self._stub.FinishScrapingJob(request, timeout=timeout)
        return response

    def close(self) -> None:
        """Ends the connection and all calls."""
        self._channel.close()


def is_refusal(error: grpc.RpcError) -> bool:
    """Whether the same request would get the same answer."""
    return _code(error) in REFUSALS


def is_lease_lost(error: grpc.RpcError) -> bool:
    """Whether the attempt has lost its lease or has ended."""
    return _code(error) is grpc.StatusCode.FAILED_PRECONDITION


def describe(error: grpc.RpcError) -> str:
    """The error as a sentence, with the fields that it names."""
    code = _code(error)
    text = f"{code.name if code else 'UNKNOWN'}: {_details(error)}"
    fields = [f"`{violation.field}`: {violation.description}" for violation in _violations(error)]
    return f"{text} ({'; '.join(fields)})" if fields else text


def _code(error: grpc.RpcError) -> grpc.StatusCode | None:
    return error.code() if isinstance(error, grpc.Call) else None


def _details(error: grpc.RpcError) -> str:
    return (error.details() if isinstance(error, grpc.Call) else None) or str(error)


def _violations(error: grpc.RpcError) -> Iterator[error_details_pb2.BadRequest.FieldViolation]:
    if not isinstance(error, grpc.Call):
        return
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin" or not isinstance(value, bytes):
            continue
        for detail in status_pb2.Status.FromString(value).details:
            bad_request = error_details_pb2.BadRequest()
            if detail.Unpack(bad_request):
                yield from bad_request.field_violations


class Backoff:
    """How long to wait after the next failure: doubles up to a limit, with jitter."""

    def __init__(self, first: float = 0.25, limit: float = 5.0) -> None:
        self._first = first
        self._limit = limit
        self._next = first

    def reset(self) -> None:
        """After a success."""
        self._next = self._first

    def next(self) -> float:
        """Seconds to wait now."""
        seconds = self._next * random.uniform(0.5, 1.0)
        self._next = min(self._next * 2, self._limit)
        return seconds
