"""Watches the HTTP requests of homeharvest to distinguish an empty response from a failure.

Wraps `requests.Session.send` during a call.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

# Path of each operation's content below `data` in a valid response.
CONTENT = {
    "Search_suggestions": ("search_suggestions", "geo_results"),
    "GetHomeSearch": ("homeSearch", "results"),
    "GetHomeDetails": ("home",),
}


@dataclass(frozen=True)
class Result:
    """The result of one request."""

    operation: str
    # The reason why the response is unusable; empty if it is usable.
    problem: str = ""
    # GraphQL messages of a usable response.
    warning: str = ""
    # Number of places, listings or homes in the response.
    found: int = 0
    # Number of listings on all pages of the search.
    total: int = 0


class Watch:
    """The last response to each request; earlier failures were retried."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: dict[object, Result] = {}

    def record(self, request: object, result: Result) -> None:
        """Records a response."""
        with self._lock:
            self._results[request] = result

    def problem(self) -> str:
        """The first problem; empty if all responses are usable."""
        return next((result.problem for result in self._all() if result.problem), "")

    def warnings(self) -> list[str]:
        """Distinct warnings."""
        return list(dict.fromkeys(result.warning for result in self._all() if result.warning))

    def asked(self, operation: str) -> bool:
        """Whether there was such a request."""
        return any(result.operation == operation for result in self._all())

    def found(self, operation: str) -> int:
        """Number of places, listings or homes received."""
        return sum(result.found for result in self._all() if result.operation == operation)

    def total(self) -> int:
        """Number of listings that the website announced."""
        return max((result.total for result in self._all()), default=0)

    def _all(self) -> list[Result]:
        with self._lock:
            return list(self._results.values())


@contextmanager
def watch_requests() -> Iterator[Watch]:
    """Watches all requests of this process during the block, including those of other threads."""
    watch = Watch()
    send = requests.Session.send

    def watched(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        key = (request.url, request.body)
        operation = _operation(request)
        try:
            response = send(session, request, **options)
        except requests.RequestException as error:
            watch.record(key, Result(operation, problem=f"no response from {_host(request)}: {type(error).__name__}"))
            raise
        watch.record(key, judge(operation, response))
        return response

    requests.Session.send = watched  # type: ignore[method-assign, assignment]
    try:
        yield watch
    finally:
        requests.Session.send = send  # type: ignore[method-assign]


def judge(operation: str, response: requests.Response) -> Result:
    """Classifies a response."""
    name = f"{urlsplit(response.url).hostname} ({operation})"
    if response.status_code >= 400:
        status = f"HTTP {response.status_code} {response.reason or ''}".rstrip()
        return Result(operation, problem=f"{status} from {name}")
    if operation not in CONTENT:
        return Result(operation)
    try:
        body = response.json()
    except ValueError:
        return Result(operation, problem=f"a response that is not JSON from {name}")
    errors = _errors(body)
    path = CONTENT[operation]
    value = body.get("data") if isinstance(body, dict) else None
    for key in path[:-1]:
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, dict) or path[-1] not in value:
        return Result(operation, problem=_malformed(path, name, errors))
    content = value[path[-1]]
    if operation == "GetHomeDetails":
        if content is None and errors:
            return Result(operation, problem=_malformed(path, name, errors))
        return Result(operation, warning=errors, found=int(content is not None))
    if not isinstance(content, list):
        return Result(operation, problem=_malformed(path, name, errors))
    total = value.get("total")
    return Result(operation, warning=errors, found=len(content), total=total if isinstance(total, int) else 0)


def _malformed(path: tuple[str, ...], name: str, errors: str) -> str:
    return f"a response without `data.{'.'.join(path)}` from {name}" + (f": {errors}" if errors else "")


def _errors(body: object) -> str:
    """The messages of GraphQL's errors."""
    errors = body.get("errors") if isinstance(body, dict) else None
    if not isinstance(errors, list):
        return ""
    messages = [str(error.get("message", "") if isinstance(error, dict) else error) for error in errors]
    return "; ".join(message for message in messages if message) or ("an error without a message" if errors else "")


def _operation(request: requests.PreparedRequest) -> str:
    try:
        operation = json.loads(request.body or b"")["operationName"]
    except (ValueError, KeyError, TypeError):
        return urlsplit(request.url or "").path or "?"
    return str(operation)


def _host(request: requests.PreparedRequest) -> str:
    return urlsplit(request.url or "").hostname or "?"
