"""What a source gets, and what it gives back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

LOG_LEVELS = ("debug", "info", "warning", "error")

# Takes a message for the worker process: its kind and its fields.
Send = Callable[[dict[str, Any]], None]


class ScrapeError(Exception):
    """A location could not be read.

    `permanent` says that trying again is useless. Any other exception is a failure of the location
    too, but not a permanent one.
    """

    def __init__(self, text: str, *, permanent: bool = False) -> None:
        super().__init__(text)
        self.permanent = permanent


@dataclass(frozen=True)
class Property:
    """A listing: the source's id of it, 1 to 200 characters, and all its other fields.

    The body must be what JSON can say. Dates, numpy scalars, NaN and the missing values of pandas are
    converted.
    """

    id: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Task:
    """One location of one attempt: what to scrape."""

    # The run.
    job_id: str
    # The attempt's number, from 1.
    attempt: int
    # The scheduled job that the run belongs to; empty for a one-off run.
    scheduled_job_id: str
    # Where to scrape.
    location: str
    # Which listings, for example ["FOR_SALE", "SOLD"]; empty: the source's own choice.
    listing_types: list[str]
    # Only listings changed in the last so many days before `reference_time`.
    past_days: int | None
    # Search radius in miles.
    radius: float | None
    # At most this many listings. The worker stops reading by itself.
    limit: int | None
    # What `past_days` counts back from, in UTC.
    reference_time: datetime
    # All parameters of the run, as in `windrow.v1.ScrapeParameters`.
    parameters: dict[str, Any]
    _send: Send | None = field(default=None, repr=False, compare=False)

    def log(self, text: str, level: str = "info") -> None:
        """Writes to the log of the run. Levels: debug, info, warning, error."""
        level = level.lower()
        if level not in LOG_LEVELS:
            raise ValueError(f"no log level {level!r}: {', '.join(LOG_LEVELS)}")
        if self._send is None:
            print(f"{level}: {text}", file=sys.stderr)
        else:
            self._send({"kind": "log", "level": level, "text": str(text)})

    @contextmanager
    def time_limit(self, seconds: float, what: str) -> Iterator[None]:
        """Kills the process of the location when the block takes longer; `what` names it in the error.

        The worker process watches the time, so that this works for code that hangs. Not to be nested.
        """
        if self._send is not None:
            self._send({"kind": "limit", "seconds": seconds, "what": what})
        try:
            yield
        finally:
            if self._send is not None:
                self._send({"kind": "limit", "seconds": None, "what": what})
