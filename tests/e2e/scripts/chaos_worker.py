"""The Python worker of the chaos test: rows that say which attempt read them."""

import os
import time

from windrow_worker import Property, Worker

worker = Worker(capacity=3, grace=0.5)
ROWS = int(os.environ["WINDROW_CHAOS_ROWS"])


@worker.source("python", timeout=60)
def scrape(task):
    for number in range(1, ROWS + 1):
        yield Property(id=f"{task.job_id} {task.location} {number}", body={"attempt": task.attempt})
        time.sleep(0.03)


if __name__ == "__main__":
    worker.run()
