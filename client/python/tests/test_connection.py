"""Lost streams, a server that goes away, and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from conftest import Running
from fake_server import FakeServer, Job
from processes import alive, pids_of

from windrow_worker import Worker
from windrow_worker._client import Client
from windrow_worker._engine import Engine
from windrow_worker._heartbeat import Heartbeats
from windrow_worker._proto.windrow.v1 import worker_service_pb2 as pb

Script = subprocess.Popen[bytes]


@pytest.fixture
def script(server: FakeServer) -> Iterator[Script]:
    """tests/script.py as a process."""
    environment = os.environ | {"WINDROW_SERVER": f"127.0.0.1:{server.port}"}
    process = subprocess.Popen([sys.executable, str(Path(__file__).with_name("script.py"))], env=environment)
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("taken", [False, True])
def test_lost_stream(server: FakeServer, running: Running, taken: bool) -> None:
    """A batch is sent again whether the server has taken it before the stream was lost or not."""
    seen = []

    def lose(batch: pb.SubmitPropertiesRequest, after: bool) -> None:
        if after is taken:
            seen.append(batch)
            if len(seen) == 2:
                raise RuntimeError("the stream is lost")

    server.on_batch = lose
    job = server.add(Job("stream", "test", ["rows 700", "rows 20"]))
    assert server.wait_finished(job).outcome == pb.ATTEMPT_OUTCOME_DONE
    assert seen[1] == seen[2]
    assert job.scraped == 720
    assert set(job.results) == {"rows 700", "rows 20"}


def test_server_goes_away_and_comes_back(server: FakeServer, running: Running) -> None:
    job = server.add(Job("away", "test", ["slow 12", "rows 3"]))
    server.wait(lambda: job.batches)
    server.stop()
    # The source continues; its rows wait.
    with pytest.raises(AssertionError):
        server.wait(lambda: job.finish, timeout=1.5)
    server.start()
    assert server.wait_finished(job).outcome == pb.ATTEMPT_OUTCOME_DONE
    assert job.scraped == 15
    assert set(job.results) == {"slow 12", "rows 3"}
    later = server.add(Job("later", "test", ["rows 1"]))
    server.wait_finished(later)
    assert {request.worker_id for request in server.lease_requests} == {server.lease_requests[0].worker_id}


def test_lease_expires_without_server(server: FakeServer, running: Running, tmp_path: Path) -> None:
    server.expires_in = 1.5
    job = Job("expires", "test", [f"hang {tmp_path / 'pids'}"])
    # The server may be gone before its first heartbeat.
    job.lease.expires_in.FromMilliseconds(1_500)
    server.add(job)
    pids = pids_of(server, tmp_path / "pids")
    server.stop()
    server.wait(lambda: not any(alive(pid) for pid in pids))
    server.start()
    server.wait_finished(server.add(Job("next", "test", ["rows 1"])))
    assert job.finish is None


def test_lease_does_not_expire_without_database(server: FakeServer, running: Running) -> None:
    server.expires_in = 1.0
    job = server.add(Job("outage", "test", ["slow 30"]))
    server.wait(lambda: job.batches)
    server.has_database = False
    before = server.heartbeats
    server.wait(lambda: server.heartbeats > before + 20)
    server.has_database = True
    assert server.wait_finished(job).outcome == pb.ATTEMPT_OUTCOME_DONE


def test_report_that_is_not_stored_is_sent_again(server: FakeServer, running: Running) -> None:
    job = Job("locked", "test", ["rows 0", "slow 12"])
    job.locked = True
    server.add(job)
    assert server.wait_finished(job).outcome == pb.ATTEMPT_OUTCOME_DONE
    assert not job.locked
    assert set(job.results) == {"rows 0", "slow 12"}
    assert "started" in job.texts("rows 0")


def test_heartbeat_under_way_at_the_finish_is_no_lost_lease(
    server: FakeServer, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    def answer_a_heartbeat_first(job: Job) -> None:
        server.wait(lambda: server.lost_answers)

    caplog.set_level("INFO")
    server.on_finished = answer_a_heartbeat_first
    server.wait_finished(server.add(Job("race", "test", ["slow 4"])))
    server.wait(lambda: "race, attempt 1: finished: DONE" in caplog.text)
    assert "the lease is lost" not in caplog.text
    assert "lost its lease" not in caplog.text


def test_failed_heartbeats_end_the_attempt_and_the_worker(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A thread that dies silently would leave the run to the end of its lease, again and again."""
    import sources

    worker = Worker(server=f"127.0.0.1:{server.port}", grace=0.5)
    worker.source("test")(sources.scrape)
    run = Running(worker)
    job = server.add(Job("old", "test", [f"hang {tmp_path / 'pids'}"]))
    pids = pids_of(server, tmp_path / "pids")

    def fail(*arguments: object) -> None:
        raise AttributeError("'AttemptState' object has no attribute 'expires_in'")

    monkeypatch.setattr(Heartbeats, "_take", fail)
    finish = server.wait_finished(job, timeout=10.0)
    error = "the worker failed to send heartbeats: AttributeError: 'AttemptState' object has no attribute 'expires_in'"
    assert (finish.outcome, finish.error_message) == (pb.ATTEMPT_OUTCOME_FAILED, error)
    run.join()
    assert str(run.error) == error
    server.wait(lambda: not any(alive(pid) for pid in pids))


def test_failed_leases_end_the_worker(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    import sources

    def fail(*arguments: object) -> None:
        raise AttributeError("no field 'draining'")

    monkeypatch.setattr(Engine, "_lease", fail)
    worker = Worker(server=f"127.0.0.1:{server.port}", grace=0.5)
    worker.source("test")(sources.scrape)
    run = Running(worker)
    run.join()
    assert str(run.error) == "the worker failed to lease runs: AttributeError: no field 'draining'"


def test_held_attempts_are_named(server: FakeServer, running: Running, tmp_path: Path) -> None:
    server.add(Job("held", "test", [f"hang {tmp_path / 'pids'}"]))
    pids_of(server, tmp_path / "pids")
    server.wait(lambda: [held.job_id for held in server.lease_requests[-1].held] == ["held"])
    assert server.lease_requests[-1].capacity == 1


def test_sigterm_gives_back(server: FakeServer, script: Script, tmp_path: Path) -> None:
    job = server.add(Job("term", "test", ["rows 2", f"hang {tmp_path / 'pids'}"]))
    pids = pids_of(server, tmp_path / "pids")
    script.send_signal(signal.SIGTERM)
    assert server.wait_finished(job).outcome == pb.ATTEMPT_OUTCOME_RELEASED
    assert set(job.results) == {"rows 2"}
    assert script.wait(20) == 0
    server.wait(lambda: not any(alive(pid) for pid in pids))


def test_sigterm_lets_end(server: FakeServer, script: Script) -> None:
    job = server.add(Job("short", "test", ["slow 4"]))
    server.wait(lambda: "started" in job.texts())
    script.send_signal(signal.SIGTERM)
    assert server.wait_finished(job).outcome == pb.ATTEMPT_OUTCOME_DONE
    assert script.wait(20) == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGKILL])
def test_sudden_end_kills_the_children(
    server: FakeServer, script: Script, tmp_path: Path, second: signal.Signals
) -> None:
    """A second signal ends the worker at once, SIGKILL too; in both cases what it has started dies."""
    server.add(Job("kill", "test", [f"hang {tmp_path / 'pids'}"]))
    child, grandchild = pids_of(server, tmp_path / "pids")
    if second is signal.SIGTERM:
        script.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            script.wait(0.4)
    script.send_signal(second)
    assert script.wait(5) != 0
    server.wait(lambda: not alive(child))
    if second is signal.SIGTERM:
        server.wait(lambda: not alive(grandchild))
    elif alive(grandchild):
        os.kill(grandchild, signal.SIGKILL)


def test_stopped_worker_leases_nothing(server: FakeServer, running: Running) -> None:
    """A stop also cancels the call in progress."""
    server.wait(lambda: server.lease_requests)
    running.worker.stop()
    running.join()
    assert server.signed_off == [server.lease_requests[0].worker_id]
    job = server.add(Job("after", "test", ["rows 1"]))
    with pytest.raises(AssertionError):
        server.wait(job.leased.is_set, timeout=1.0)


def test_goes_on_with_another_server(server: FakeServer) -> None:
    """A call that finds nobody at the first server goes to the second."""
    client = Client(f"127.0.0.1:1, 127.0.0.1:{server.port}", "worker")
    request = pb.HeartbeatRequest(worker_id="worker")
    with pytest.raises(grpc.RpcError):
        client.heartbeat(request, timeout=5.0)
    assert client.heartbeat(request, timeout=5.0).heartbeat_interval.ToMilliseconds() == 100
    client.close()
