"""Watches the HTTP requests of homeharvest, to tell an empty answer from a failure.

Wraps `requests.Session.send` while a call runs; nothing of homeharvest or requests is changed on disk.
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

# Where a good answer of each operation has its content, below `data`.
CONTENT = {
    "Search_suggestions": ("search_suggestions", "geo_results"),
    "GetHomeSearch": ("homeSearch", "results"),
    "GetHomeDetails": ("home",),
}


@dataclass(frozen=True)
class Answer:
    """What became of one request."""

    operation: str
    # Why the answer is of no use; empty if it is.
    problem: str = ""
    # Messages of GraphQL that came along with a useful answer.
    warning: str = ""
    # How many places, listings or homes it has.
    found: int = 0
    # How many listings the search has on all its pages.
    total: int = 0


class Watch:
    """The last answer to each request: an earlier one that failed was tried again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[object, Answer] = {}

    def record(self, request: object, answer: Answer) -> None:
        """Takes an answer."""
        with self._lock:
            self._answers[request] = answer

    def problem(self) -> str:
        """The first problem; empty if all answers are of use."""
        return next((answer.problem for answer in self._all() if answer.problem), "")

    def warnings(self) -> list[str]:
        """Warnings, each once."""
        return list(dict.fromkeys(answer.warning for answer in self._all() if answer.warning))

    def asked(self, operation: str) -> bool:
        """Whether there was such a request."""
        return any(answer.operation == operation for answer in self._all())

    def found(self, operation: str) -> int:
        """How many places, listings or homes came."""
        return sum(answer.found for answer in self._all() if answer.operation == operation)

    def total(self) -> int:
        """How many listings the website has."""
        return max((answer.total for answer in self._all()), default=0)

    def _all(self) -> list[Answer]:
        with self._lock:
            return list(self._answers.values())


@contextmanager
def watch_requests() -> Iterator[Watch]:
    """Watches all requests of this process in the block, those of other threads too."""
    watch = Watch()
    send = requests.Session.send

    def watched(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        key = (request.url, request.body)
        operation = _operation(request)
        try:
            response = send(session, request, **options)
        except requests.RequestException as error:
            watch.record(key, Answer(operation, problem=f"no answer from {_host(request)}: {type(error).__name__}"))
            raise
        watch.record(key, judge(operation, response))
        return response

    requests.Session.send = watched  # type: ignore[method-assign, assignment]
    try:
        yield watch
    finally:
        requests.Session.send = send  # type: ignore[method-assign]


def judge(operation: str, response: requests.Response) -> Answer:
    """Whether an answer is of use."""
    name = f"{urlsplit(response.url).hostname} ({operation})"
    if response.status_code >= 400:
        status = f"HTTP {response.status_code} {response.reason or ''}".rstrip()
        return Answer(operation, problem=f"{status} from {name}")
    if operation not in CONTENT:
        return Answer(operation)
    try:
        body = response.json()
    except ValueError:
        return Answer(operation, problem=f"an answer that is not JSON from {name}")
    errors = _errors(body)
    path = CONTENT[operation]
    value = body.get("data") if isinstance(body, dict) else None
    for key in path[:-1]:
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, dict) or path[-1] not in value:
        return Answer(operation, problem=_malformed(path, name, errors))
    content = value[path[-1]]
    if operation == "GetHomeDetails":
        if content is None and errors:
            return Answer(operation, problem=_malformed(path, name, errors))
        return Answer(operation, warning=errors, found=int(content is not None))
    if not isinstance(content, list):
        return Answer(operation, problem=_malformed(path, name, errors))
    total = value.get("total")
    return Answer(operation, warning=errors, found=len(content), total=total if isinstance(total, int) else 0)


def _malformed(path: tuple[str, ...], name: str, errors: str) -> str:
    return f"an answer without `data.{'.'.join(path)}` from {name}" + (f": {errors}" if errors else "")


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
