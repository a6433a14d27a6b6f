"""Sources for tests. They run in processes of their own."""

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Iterator

from windrow_worker import Property, ScrapeError, Task


def scrape(task: Task) -> Iterator[Property]:
    """Does what its location says: `rows 3`, `raise`, `hang FILE`, …"""
    verb, _, rest = task.location.partition(" ")
    if verb == "rows":
        for number in range(int(rest)):
            yield Property(id=f"{task.job_id}-{number}", body={"number": number, "at": task.reference_time})
    elif verb == "raise":
        yield Property(id="kept", body={})
        raise RuntimeError("the page makes no sense")
    elif verb == "permanent":
        raise ScrapeError("there is no such place", permanent=True)
    elif verb == "hang":
        yield Property(id="kept", body={})
        # A process of its own, which must be killed too.
        sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        with open(rest + ".new", "w") as file:
            file.write(f"{os.getpid()} {sleeper.pid}")
        os.rename(rest + ".new", rest)
        time.sleep(600)
    elif verb == "limited":
        with task.time_limit(0.5, "the call for 'sold' listings"):
            time.sleep(600)
    elif verb == "exit":
        os._exit(3)
    elif verb == "segfault":
        ctypes.string_at(0)
    elif verb == "slow":
        for number in range(int(rest)):
            yield Property(id=f"{task.job_id}-{number}", body={})
            time.sleep(0.25)
    elif verb == "print":
        print("out of the source")
        print("error of the source", file=sys.stderr)
        task.log("said by the task", level="debug")
        task.log(f"types {task.listing_types}, days {task.past_days}, radius {task.radius}")
    elif verb == "flood":
        for number in range(20_000):
            print(f"line {number}")
    elif verb == "badid":
        yield Property(id="", body={})
    elif verb == "badbody":
        yield Property(id="x", body={"a": [{"b": object()}]})
    elif verb == "dict":
        yield {"id": "x"}  # type: ignore[misc]


def nothing(task: Task) -> None:
    """Forgets to return properties."""
