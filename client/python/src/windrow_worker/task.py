"""The interface of sources: tasks and properties."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

LOG_LEVELS = ("debug", "info", "warning", "error")

# Sends a message (a kind and its fields) to the worker process.
Send = Callable[[dict[str, Any]], None]


class ScrapeError(Exception):
    """The location failed.

    Set `permanent` if another attempt would fail as well. Any other exception also fails the location, but
    not permanently.
    """

    def __init__(self, text: str, *, permanent: bool = False) -> None:
        super().__init__(text)
        self.permanent = permanent


@dataclass(frozen=True)
class Property:
    """A listing: the source's id of it, 1 to 200 characters or a whole number, and all its other fields.

    The body must be representable as JSON. Dates, numpy scalars, NaN and the missing values of pandas are
    converted.
    """

    id: str | int
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Task:
    """One location of one attempt: describes the work of a source."""

    # The id of the run.
    job_id: str
    # The number of the attempt, from 1.
    attempt: int
    # The scheduled job of the run; empty for a one-off run.
    scheduled_job_id: str
    # The location as the user wrote it.
    location: str
    # For example ["FOR_SALE", "SOLD"]; empty means the source's default.
    listing_types: list[str]
    # Only listings changed in this many days before `reference_time`.
    past_days: int | None
    # Search radius in miles.
    radius: float | None
    # Maximum number of listings. The worker stops reading there.
    limit: int | None
    # `past_days` counts back from this time, in UTC.
    reference_time: datetime
    # All parameters of the run as in `windrow.v1.ScrapeParameters`.
    parameters: dict[str, Any]
    _send: Send | None = field(default=None, repr=False, compare=False)

    def log(self, text: str, level: str = "info") -> None:
        """Writes to the log of the run, which shows it while the source works.

        Levels: debug, info, warning, error.
        """
        level = level.lower()
        if level not in LOG_LEVELS:
            raise ValueError(f"unknown log level {level!r}; expected {', '.join(LOG_LEVELS)}")
        if self._send is None:
            print(f"{level}: {text}", file=sys.stderr)
        else:
            self._send({"kind": "log", "level": level, "text": str(text)})

    @contextmanager
    def time_limit(self, seconds: float, what: str) -> Iterator[None]:
        """Kills the process of the location if the block takes longer; `what` names the block in the error.

        The worker process measures the time, so this works for code that hangs. Must not be nested.
        """
        if self._send is not None:
            self._send({"kind": "limit", "seconds": seconds, "what": what})
        try:
            yield
        finally:
            if self._send is not None:
                self._send({"kind": "limit", "seconds": None, "what": what})
