"""Fixtures: a fake server, and a worker in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from fake_server import FakeServer

from windrow_worker import Worker


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server that runs."""
    fake = FakeServer()
    fake.start()
    yield fake
    fake.stop()


class Running:
    """A worker in a thread."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops it and waits."""
        self.worker.stop()
        self.join()

    def join(self) -> None:
        """Waits for its end."""
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.worker.run()
        except Exception as error:
            self.error = error


@pytest.fixture
def running(server: FakeServer) -> Iterator[Running]:
    """A worker of the server, with the test sources; a location may take 20 s."""
    import sources

    worker = Worker(server=f"127.0.0.1:{server.port}", capacity=2, grace=0.5)
    worker.source("test", timeout=20)(sources.scrape)
    worker.source("quick", timeout=2)(sources.scrape)
    worker.source("nothing")(sources.nothing)
    run = Running(worker)
    yield run
    run.stop()
    assert run.error is None
