"""A worker with one source, as a user would write it."""

import time

from windrow_worker import Property, ScrapeError, Worker

worker = Worker(capacity=2)


@worker.source("py", timeout=60)
def scrape(task):
    task.log(f"looks at {task.location}")
    if task.location == "nowhere":
        raise ScrapeError("no such place", permanent=True)
    if task.location == "stuck":
        time.sleep(600)
    for number in range(700):
        yield Property(id=f"{task.location} {number}", body={"number": number})


if __name__ == "__main__":
    worker.run()
