"""A worker as a script: no guard around `run`, and its source is in `__main__`."""

import logging

import sources

from windrow_worker import Worker

logging.basicConfig(level=logging.INFO)
worker = Worker(capacity=2, grace=3.0)


@worker.source("test", timeout=60)
def scrape(task):  # type: ignore[no-untyped-def]
    return sources.scrape(task)


worker.run()
