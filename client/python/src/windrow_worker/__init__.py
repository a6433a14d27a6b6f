"""Runs the scraping jobs of a Windrow server with sources written in Python.

    from windrow_worker import Property, ScrapeError, Task, Worker

See the README of the package for an example.
"""

from .task import Property, ScrapeError, Task
from .worker import Worker, WorkerError

__all__ = ["Property", "ScrapeError", "Task", "Worker", "WorkerError"]
