"""homeharvest's own HTTP code against a website of the tests. Nothing reaches the internet."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import pytest
from conftest import Running
from fake_server import FakeServer, Job
from fake_site import Site

pytest.importorskip("homeharvest")

from windrow_worker import Worker  # noqa: E402
from windrow_worker.homeharvest.source import scrape  # noqa: E402

BOTH = ["LISTING_TYPE_FOR_SALE", "LISTING_TYPE_SOLD"]


class World:
    """A website, a server, and a worker between them, with all jobs of this file."""

    def __init__(self, site: Site, server: FakeServer) -> None:
        self.site = site
        self.server = server

    def job(self, location: str, source: str = "homeharvest", **parameters: object) -> Job:
        """Runs a job for a location to its end."""
        job = self.server.add(Job(f"{location} {len(self.server.jobs)}", source, [location], **parameters))
        self.server.wait_finished(job, 60)
        return job


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    site = Site(tmp_path_factory.mktemp("site"))
    server = FakeServer()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in site.environment.items():
            patch.setenv(name, value)
        for name in ("http_proxy", "https_proxy", "all_proxy", "ALL_PROXY", "no_proxy"):
            patch.delenv(name, raising=False)
        worker = Worker(server=server.start(), capacity=2, grace=0.1)
        worker.source("homeharvest", timeout=60)(scrape)
        worker.source("hasty", timeout=60)(partial(scrape, call_timeout=6.0))
        run = Running(worker)
        yield World(site, server)
        run.stop()
    server.stop()
    site.stop()


def error(job: Job) -> str:
    """Why its only location failed."""
    (result,) = job.results.values()
    return result.error_message


def test_two_listing_types(world: World) -> None:
    job = world.job("Springfield", listing_types=BOTH, past_days=7)
    assert error(job) == ""
    assert [(row.property_id, row.body["listing_type"]) for row in job.rows] == [
        ("P1", "for_sale"), ("P2", "for_sale"), ("P3", "for_sale"), ("P4", "sold"), ("P5", "sold"),
    ]  # fmt: skip
    body = job.rows[0].body
    assert body["city"] == "Testville"
    assert body["list_price"] == 100_001
    assert body["mls_id"] == "MLS1"
    assert body["last_update_date"] == "2026-03-06T11:22:33+00:00"
    assert job.rows[1].body["sqft"] is None
    sale, sold = world.site.searches("Springfield")
    assert 'list_date: { min: "2026-03-03", max: "2026-03-11" }' in sale
    assert 'sold_date: { min: "2026-03-03", max: "2026-03-11" }' in sold


def test_pending_comes_before_for_sale(world: World) -> None:
    """The first row of a property counts, and a search for sale finds pending listings too."""
    job = world.job("Springfield", listing_types=["LISTING_TYPE_FOR_SALE", "LISTING_TYPE_PENDING"])
    assert error(job) == ""
    assert (job.rows[0].property_id, job.rows[0].body["listing_type"]) == ("P3", "pending")
    assert [row.body["listing_type"] for row in job.rows[1:]] == ["for_sale"] * 3


def test_limit_counts_all_types(world: World) -> None:
    job = world.job("Springfield", listing_types=BOTH, limit=4)
    assert error(job) == ""
    assert [row.property_id for row in job.rows] == ["P1", "P2", "P3", "P4"]


def test_empty_is_not_an_error(world: World) -> None:
    job = world.job("Emptyville", listing_types=BOTH)
    assert error(job) == ""
    assert {"no listings of type for_sale", "no listings of type sold", "no listings"} <= set(job.texts())


def test_unknown_place_is_in_the_log(world: World) -> None:
    job = world.job("Nowhere")
    assert error(job) == ""
    assert "the website knows no place 'Nowhere'" in job.texts()


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("Forbidden", "HTTP 403 Forbidden from www.realtor.com (Search_suggestions)"),
        ("Garbage", "a response that is not JSON from www.realtor.com (Search_suggestions)"),
        ("Unwell", "HTTP 503 Service Unavailable from www.realtor.com (GetHomeSearch)"),
        (
            "Errors",
            "a response without `data.homeSearch.results` from www.realtor.com (GetHomeSearch): out of order",
        ),
        ("Half", "a response without `data.homeSearch.results` from www.realtor.com (GetHomeSearch)"),
        ("13 Broken Street", "homeharvest failed to read the website's response"),
    ],
)
def test_failures(world: World, location: str, text: str) -> None:
    """Also those that homeharvest returns as an empty or an incomplete table."""
    job = world.job(location)
    assert error(job) == f"listings of type for_sale: {text}"
    assert not job.results[location].permanent
    assert job.rows == []


def test_hang_is_killed(world: World) -> None:
    job = world.job("Hang", source="hasty")
    assert error(job) == "homeharvest's call for listings of type for_sale timed out after 6 s"


def test_more_than_homeharvest_can_read(world: World) -> None:
    job = world.job("Huge")
    assert "has more than 10000 listings: 10001 of type for_sale" in error(job)
    assert job.scraped == 50  # One on each of the 50 pages that homeharvest reads.
    assert error(world.job("Huge", limit=10)) == ""


def test_single_address(world: World) -> None:
    """homeharvest returns an address whatever its state; the source does not."""
    job = world.job("77 Test Street", listing_types=BOTH)
    assert [(row.property_id, row.body["listing_type"]) for row in job.rows] == [("P77", "sold")]
    assert error(job) == ""


def test_command_line(world: World) -> None:
    """The worker as a process of its own."""
    server = FakeServer()
    arguments = ["-m", "windrow_worker.homeharvest", "--server", server.start(), "--source", "mine"]
    process = subprocess.Popen([sys.executable, *arguments])
    try:
        job = server.add(Job("cli", "mine", ["Springfield"], listing_types=["LISTING_TYPE_SOLD"]))
        server.wait_finished(job, 60)
        assert [row.property_id for row in job.rows] == ["P4", "P5"]
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        server.stop()
