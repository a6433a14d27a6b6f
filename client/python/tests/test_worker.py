"""The worker against a fake server: what goes well, and what sources can do wrong."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from conftest import Running
from fake_server import FakeServer, Job
from processes import alive, pids_of

from windrow_worker import Worker
from windrow_worker._proto.windrow.v1 import worker_service_pb2 as pb


def test_two_locations(server: FakeServer, running: Running) -> None:
    job = server.add(Job("two", "test", ["rows 3", "rows 0"]))
    finish = server.wait_finished(job)
    assert finish.outcome == pb.ATTEMPT_OUTCOME_DONE
    assert [row.property_id for row in job.rows] == ["two-0", "two-1", "two-2"]
    assert {row.location for row in job.rows} == {"rows 3"}
    assert dict(job.rows[1].body) == {"number": 1, "at": "2026-03-10T12:00:00+00:00"}
    assert [list(job.batches[0].location_results)[-1].location] == ["rows 3"]
    assert {name: r.error_message for name, r in job.results.items()} == {"rows 3": "", "rows 0": ""}
    assert "no listings" in job.texts("rows 0")
    assert len(job.texts()) == len({(line.location, line.text) for line in job.logs})


def test_many_rows_in_batches(server: FakeServer, running: Running) -> None:
    job = server.add(Job("many", "test", ["rows 1200"]))
    assert server.wait_finished(job).outcome == pb.ATTEMPT_OUTCOME_DONE
    assert job.scraped == 1200
    assert max(len(batch.properties) for batch in job.batches) <= 500
    assert all(not batch.location_results for batch in job.batches[:-1])


def test_limit(server: FakeServer, running: Running) -> None:
    job = server.add(Job("limit", "test", ["rows 50"], limit=7))
    server.wait_finished(job)
    assert job.scraped == 7
    assert job.results["rows 50"].error_message == ""


def test_more_than_ten_thousand(server: FakeServer, running: Running) -> None:
    job = server.add(Job("most", "test", ["rows 10001"]))
    server.wait_finished(job, 60)
    assert job.scraped == 10_000
    assert "has more than 10000 listings: " in job.results["rows 10001"].error_message


@pytest.mark.parametrize(
    ("location", "text", "permanent"),
    [
        ("raise", "RuntimeError: the page makes no sense", False),
        ("permanent", "there is no such place", True),
        ("exit", "the process of the location ended with exit code 3 before the location was complete", False),
        ("segfault", "the process of the location was killed by signal 11 (SIGSEGV)", False),
        ("badid", "the id of a property has 0 characters instead of 1 to 200", False),
        ("badbody", "property 'x': `a[0].b` is of type object, which JSON cannot represent", False),
        ("dict", "the source yielded a value of type dict instead of a Property", False),
        ("limited", "the call for 'sold' listings timed out after 0.5 s", False),
    ],
)
def test_failures(server: FakeServer, running: Running, location: str, text: str, permanent: bool) -> None:
    job = server.add(Job("fails", "test", [location, "rows 1"]))
    finish = server.wait_finished(job)
    assert finish.outcome == pb.ATTEMPT_OUTCOME_DONE
    assert job.results[location].error_message == text
    assert job.results[location].permanent is permanent
    assert job.results["rows 1"].error_message == ""
    assert text in job.texts(location)
    if location == "raise":
        assert any("Traceback" in line for line in job.texts(location))
        assert [row.property_id for row in job.rows] == ["kept", "fails-0"]


def test_source_without_properties(server: FakeServer, running: Running) -> None:
    job = server.add(Job("none", "nothing", ["a"]))
    server.wait_finished(job)
    assert job.results["a"].error_message == "the source returned a value of type NoneType instead of properties"


def test_output_goes_to_the_log(server: FakeServer, running: Running) -> None:
    parameters = {"listing_types": ["LISTING_TYPE_SOLD"], "past_days": 7, "radius": 1.5}
    job = server.add(Job("print", "test", ["print", "flood"], **parameters))
    server.wait_finished(job)
    texts = job.texts("print")
    assert {"out of the source", "error of the source", "said by the task"} <= set(texts)
    assert "types ['SOLD'], days 7, radius 1.5" in texts
    flood = [text for text in job.texts("flood") if text.startswith("line ")]
    assert flood[-1] == "line 19999"
    assert len(flood) == 400
    assert "(earlier output was dropped)" in job.texts("flood")


def test_time_out_kills(server: FakeServer, running: Running, tmp_path: Path) -> None:
    location = f"hang {tmp_path / 'pids'}"
    job = server.add(Job("hangs", "quick", [location, "rows 2"]))
    pids = pids_of(server, tmp_path / "pids")
    server.wait_finished(job)
    assert job.results[location].error_message == "timed out after 2 s"
    assert job.rows[0].property_id == "kept"
    server.wait(lambda: not any(alive(pid) for pid in pids))


def test_cancel(server: FakeServer, running: Running, tmp_path: Path) -> None:
    job = server.add(Job("cancel", "test", [f"hang {tmp_path / 'pids'}", "rows 2"]))
    pids = pids_of(server, tmp_path / "pids")
    begun = time.monotonic()
    job.cancel = True
    assert server.wait_finished(job).outcome == pb.ATTEMPT_OUTCOME_CANCELLED
    assert job.finished_at - begun < 2.0
    server.wait(lambda: not any(alive(pid) for pid in pids))
    assert job.results == {}


def test_lease_lost(server: FakeServer, running: Running, tmp_path: Path) -> None:
    job = server.add(Job("lost", "test", [f"hang {tmp_path / 'pids'}"]))
    pids = pids_of(server, tmp_path / "pids")
    job.lost = True
    server.wait(lambda: not any(alive(pid) for pid in pids))
    other = server.add(Job("other", "test", ["rows 1"]))
    server.wait_finished(other)
    # The heartbeat that brought the news, and perhaps one that was already on its way.
    assert 1 <= job.reports_after_loss <= 2
    assert job.finish is None


def test_attempt_out_of_time(server: FakeServer, running: Running, tmp_path: Path) -> None:
    job = Job("late", "test", [f"hang {tmp_path / 'pids'}"])
    job.lease.attempt_expires_in.FromSeconds(3)
    finish = server.wait_finished(server.add(job))
    assert finish.outcome == pb.ATTEMPT_OUTCOME_FAILED
    assert finish.error_message == "attempt timeout exceeded"


def test_unknown_source_ends_the_worker(server: FakeServer) -> None:
    import sources

    server.known_sources = {"mls"}
    worker = Worker(server=f"127.0.0.1:{server.port}")
    worker.source("typo")(sources.scrape)
    run = Running(worker)
    run.join()
    assert "`sources[0]`: the server does not know 'typo'" in str(run.error)


def test_function_must_be_found(server: FakeServer) -> None:
    worker = Worker(server=f"127.0.0.1:{server.port}")
    worker.source("lambda")(lambda task: [])
    run = Running(worker)
    run.join()
    assert "the function of source 'lambda' cannot be imported by name" in str(run.error)


def test_server_from_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINDROW_SERVER", "example.test:1")
    assert Worker().server == "example.test:1"
    assert os.environ["WINDROW_SERVER"] == "example.test:1"
