"""The attempts that the worker process holds."""

from __future__ import annotations

import threading

from ._attempt import Attempt


class Held:
    """Attempts from their lease until their end is acknowledged or the lease is lost."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._attempts: dict[tuple[str, int], Attempt] = {}

    def add(self, attempt: Attempt) -> bool:
        """Adds an attempt; False if it is held already."""
        key = (attempt.id.job_id, attempt.id.attempt)
        with self._changed:
            if key in self._attempts:
                return False
            self._attempts[key] = attempt
            return True

    def remove(self, attempt: Attempt) -> None:
        """Removes an attempt that has ended."""
        with self._changed:
            self._attempts.pop((attempt.id.job_id, attempt.id.attempt), None)
            self._changed.notify_all()

    def attempts(self) -> list[Attempt]:
        """All of them, oldest first."""
        with self._changed:
            return list(self._attempts.values())

    def wait_changed(self, timeout: float) -> None:
        """Waits until an attempt has ended."""
        with self._changed:
            self._changed.wait(timeout)

    def wait_empty(self, timeout: float) -> bool:
        """Waits until all attempts have ended; False after the timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._attempts, timeout)
