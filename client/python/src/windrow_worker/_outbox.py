"""Unreported results of locations and log lines of an attempt."""

from __future__ import annotations

import threading

from google.protobuf.timestamp_pb2 import Timestamp

from ._proto.windrow.v1 import scraping_job_log_pb2 as log_pb
from ._proto.windrow.v1 import worker_service_pb2 as pb

MAX_LINES_A_CALL = 1_000
# The server's limit of an attempt.
MAX_LINES = 10_000
MAX_LINE = 2_000

LEVELS = {
    "debug": log_pb.SCRAPING_JOB_LOG_LEVEL_DEBUG,
    "info": log_pb.SCRAPING_JOB_LOG_LEVEL_INFO,
    "warning": log_pb.SCRAPING_JOB_LOG_LEVEL_WARNING,
    "error": log_pb.SCRAPING_JOB_LOG_LEVEL_ERROR,
}


class Outbox:
    """Keeps results and lines until a call has delivered them. One call at a time carries them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._results: list[pb.LocationResult] = []
        self._lines: list[log_pb.ScrapingJobLog] = []
        self._total_lines = 0
        # Number of results and lines in the current call; None without one.
        self._carried: tuple[int, int] | None = None
        self._closed = False

    def log(self, location: str, text: str, level: str = "info") -> None:
        """Adds lines to the log, up to the server's limit."""
        now = Timestamp()
        now.GetCurrentTime()
        with self._changed:
            for line in clean(text).splitlines():
                self._total_lines += 1
                if self._total_lines > MAX_LINES:
                    return
                if self._total_lines == MAX_LINES:
                    line = f"the log of this attempt has more than {MAX_LINES} lines; the rest is dropped"
                self._lines.append(
                    log_pb.ScrapingJobLog(
                        sequence=self._total_lines,
                        location=location,
                        logged_at=now,
                        level=LEVELS[level],
                        text=line[:MAX_LINE],
                    )
                )

    def add_result(self, result: pb.LocationResult) -> None:
        """Adds the result of a location."""
        with self._changed:
            self._results.append(result)

    def fill(self, report: pb.AttemptReport | pb.FinishScrapingJobRequest) -> bool:
        """Adds results and lines to a message. False for a heartbeat without any; otherwise call `sent` afterwards."""
        with self._changed:
            lines = self._lines[:MAX_LINES_A_CALL]
            if isinstance(report, pb.AttemptReport) and (self._closed or not (self._results or lines)):
                return False
            self._carried = (len(self._results), len(lines))
            report.location_results.extend(self._results)
            report.logs.extend(lines)
            return True

    def sent(self, *, success: bool) -> None:
        """Ends the current call. After a failure the next call carries the same results and lines."""
        with self._changed:
            if self._carried and success:
                results, lines = self._carried
                del self._results[:results]
                del self._lines[:lines]
            self._carried = None
            self._changed.notify_all()

    def close(self, timeout: float) -> None:
        """Prepares the final call: waits for heartbeats to carry excess lines and for the current call."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._lines) <= MAX_LINES_A_CALL, timeout)
            self._closed = True
            self._changed.wait_for(lambda: self._carried is None, timeout)
            del self._lines[:-MAX_LINES_A_CALL]


def clean(text: str) -> str:
    """Replaces characters that cannot be sent: unpaired surrogates and NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")


def result(location: str, error: str = "", *, permanent: bool = False) -> pb.LocationResult:
    """The result of a location. The error becomes one line of at most 300 characters."""
    sentence = " ".join(clean(error).split())
    if len(sentence) > 300:
        sentence = sentence[:299] + "…"
    return pb.LocationResult(location=location, error_message=sentence, permanent=permanent)
