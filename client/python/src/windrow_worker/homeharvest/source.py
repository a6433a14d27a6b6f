"""The source `homeharvest`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta
from importlib import import_module
from typing import Any

from ..task import Property, ScrapeError, Task
from .watch import Watch, watch_requests

# The maximum of homeharvest and of the website for one search.
MAX_LISTINGS = 10_000

# Listing types in the order of the calls. Searches for sale include listings under contract. The first row
# of a property counts, so pending ones come first and keep their own type.
ORDER = ("PENDING", "FOR_SALE", "FOR_RENT", "SOLD")

# States of a single address that match a listing type; homeharvest ignores them.
STATES = {
    "PENDING": {"PENDING", "CONTINGENT"},
    "FOR_SALE": {"FOR_SALE", "PENDING", "CONTINGENT"},
    "FOR_RENT": {"FOR_RENT"},
    "SOLD": {"SOLD"},
}


def scrape(task: Task, call_timeout: float = 300.0) -> Iterator[Property]:
    """Calls homeharvest once for each listing type, with a timeout of `call_timeout` seconds each."""
    listing_types = task.listing_types or ["FOR_SALE"]
    unknown = [name for name in listing_types if name not in ORDER]
    if unknown:
        raise ScrapeError(f"unsupported listing types: {', '.join(unknown)}", permanent=True)
    count = 0
    for listing_type in sorted(listing_types, key=ORDER.index):
        limit = task.limit - count if task.limit else MAX_LISTINGS
        if limit == 0:
            return
        for found in _call(task, listing_type.lower(), limit, call_timeout):
            count += 1
            yield found


def _call(task: Task, listing_type: str, limit: int, timeout: float) -> Iterator[Property]:
    kind = f"listings of type {listing_type}"
    with watch_requests() as watch, task.time_limit(timeout, f"homeharvest's call for {kind}"):
        rows = _rows(task, listing_type, limit, watch, kind)
    for warning in watch.warnings():
        task.log(f"{kind}: the website warns: {warning}", "warning")
    if watch.asked("GetHomeDetails"):
        if watch.found("GetHomeDetails") and not rows:
            raise ScrapeError(f"{kind}: homeharvest failed to read the website's response")
        rows = [row for row in rows if row.get("status") in STATES[listing_type.upper()]]
    if watch.asked("Search_suggestions") and not watch.found("Search_suggestions"):
        task.log(f"the website knows no place '{task.location}'", "warning")
    skipped = 0
    for row in rows:
        property_id = row.pop("property_id")
        if not isinstance(property_id, str):
            skipped += 1
            continue
        yield Property(id=property_id, body=row | {"listing_type": listing_type})
    if skipped:
        task.log(f"{kind}: skipped {skipped} without property_id", "warning")
    task.log(f"{len(rows) - skipped} {kind}" if rows else f"no {kind}")
    if task.limit is None and watch.total() > MAX_LISTINGS:
        raise ScrapeError(
            f"'{task.location}' has more than {MAX_LISTINGS} listings: {watch.total()} of type {listing_type};"
            " use smaller locations, or set a limit",
            permanent=True,
        )
    if watch.found("GetHomeSearch") < min(watch.total(), limit):
        task.log(
            f"{kind}: the website announced {watch.total()} and sent {watch.found('GetHomeSearch')}", "warning"
        )


def _rows(task: Task, listing_type: str, limit: int, watch: Watch, kind: str) -> list[dict[str, Any]]:
    """Calls homeharvest. Raises ScrapeError if it failed, even if it hides the failure."""
    # Imported late because it takes seconds; only the processes of locations need it.
    homeharvest: Any = import_module("homeharvest")
    failure: Exception | None = None
    rows: list[dict[str, Any]] = []
    try:
        frame = homeharvest.scrape_property(
            location=task.location,
            listing_type=listing_type,
            radius=task.radius or None,
            limit=limit,
            **_dates(task),
        )
        rows = frame.to_dict("records")
    except Exception as error:
        failure = _cause(error)
    if problem := watch.problem():
        raise ScrapeError(f"{kind}: {problem}") from failure
    if failure:
        raise ScrapeError(f"{kind}: homeharvest failed: {type(failure).__name__}: {failure}") from failure
    return rows


def _dates(task: Task) -> dict[str, str]:
    """The range of `past_days` before the reference time, in whole UTC days, both ends included.

    homeharvest compares with the start of the last day, so the range ends one day later.
    """
    if task.past_days is None:
        return {}
    day = task.reference_time.astimezone(UTC).date()
    return {
        "date_from": (day - timedelta(days=task.past_days)).isoformat(),
        "date_to": (day + timedelta(days=1)).isoformat(),
    }


def _cause(error: Exception) -> Exception:
    """The exception behind tenacity's RetryError."""
    last = getattr(error, "last_attempt", None)
    inner = last.exception() if last is not None else None
    return inner if isinstance(inner, Exception) else error
