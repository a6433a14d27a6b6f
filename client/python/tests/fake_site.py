"""A website for tests: an HTTPS proxy that answers for www.realtor.com and for nobody else.

The answers have the shape that homeharvest's parser reads. Their content is made up here. What the site
does depends on the location.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme

HOST = "www.realtor.com"


def home(number: int, status: str, **fields: Any) -> dict[str, Any]:
    """A listing."""
    return {
        "property_id": f"P{number}",
        "listing_id": f"L{number}",
        "href": f"https://{HOST}/realestateandhomes-detail/P{number}",
        "permalink": f"P{number}",
        "status": status,
        "flags": {"is_pending": None, "is_contingent": None, "is_new_construction": None},
        "source": {"id": "TEST", "listing_id": f"MLS{number}"},
        "list_price": 100_000 + number,
        "list_price_min": None,
        "list_price_max": None,
        "list_date": "2026-03-01T10:00:00Z",
        "last_sold_date": "2026-03-05" if status == "sold" else None,
        "last_update_date": "2026-03-06T11:22:33Z",
        "description": {"beds": 3, "sqft": 1200 if number % 2 else None, "type": "single_family"},
        "location": {
            "address": {
                "line": f"{number} Test Street",
                "street_number": str(number),
                "street_name": "Test",
                "street_suffix": "Street",
                "unit": None,
                "city": "Testville",
                "state_code": "IN",
                "postal_code": "00000",
                "coordinate": {"lat": 1.5, "lon": -2.5},
            },
            "county": {"name": "Test County", "fips_code": "00000"},
        },
    } | fields


class Site:
    """Starts the proxy; `environment` leads requests to it."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(directory / "ca.pem"))
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(HOST).configure_cert(self.tls)
        self.requests: list[dict[str, Any]] = []
        self.stopped = threading.Event()
        site = self

        class BoundHandler(Handler):
            pass

        BoundHandler.site = site
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), BoundHandler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.environment = {
            "HTTPS_PROXY": f"http://127.0.0.1:{self._server.server_port}",
            "HTTP_PROXY": f"http://127.0.0.1:{self._server.server_port}",
            "NO_PROXY": "",
            "REQUESTS_CA_BUNDLE": str(directory / "ca.pem"),
        }

    def stop(self) -> None:
        """Ends it; hanging requests too."""
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def searches(self, place: str) -> list[str]:
        """The queries that were made for listings of a place."""
        return [
            request["query"]
            for request in list(self.requests)
            if request["variables"].get("search_location") == {"location": place}
        ]

    def answer(self, request: dict[str, Any]) -> tuple[int, bytes]:
        """Status and body."""
        self.requests.append(request)
        variables = request["variables"]
        if request["operationName"] == "Search_suggestions":
            return self._suggest(variables["searchInput"]["search_term"])
        if request["operationName"] == "GetHomeDetails":
            if variables["property_id"] == "broken":
                return reply({"home": {"property_id": "broken"}})
            return reply({"home": home(77, "sold")})
        return self._search(variables["search_location"]["location"], request["query"], variables["offset"])

    def _suggest(self, place: str) -> tuple[int, bytes]:
        if place == "Forbidden":
            return 403, b"{}"
        if place == "Garbage":
            return 200, b"<html>Are you a robot?</html>"
        if place == "Hang":
            self.stopped.wait(60)
        if place == "Nowhere":
            return reply({"search_suggestions": {"geo_results": []}})
        geo: dict[str, Any] = {"area_type": "city", "city": place, "state_code": "IN"}
        if place.endswith("Street"):
            geo = {"area_type": "address", "mpr_id": "broken" if place.startswith("13 ") else "77"}
        return reply({"search_suggestions": {"geo_results": [{"text": place, "geo": geo}]}})

    def _search(self, place: str, query: str, offset: int) -> tuple[int, bytes]:
        status = re.search(r"status: (\w+)", query)
        assert status
        kind = "pending" if "pending: true" in query else status[1]
        if place == "Unwell":
            return 503, b"{}"
        if place == "Errors":
            return 200, json.dumps({"data": None, "errors": [{"message": "out of order"}]}).encode()
        if place == "Half":
            if offset:
                return 200, json.dumps({"data": {"homeSearch": None}}).encode()
            return found([home(number, kind) for number in range(200)], total=250)
        if place == "Huge":
            return found([home(1, kind)], total=10_001)
        if place == "Springfield":
            numbers = {"for_sale": [1, 2, 3], "sold": [4, 5], "pending": [3]}.get(kind, [])
            homes = [home(number, status[1]) for number in numbers]
            for one in homes:
                one["flags"]["is_pending"] = one["property_id"] == "P3"
            return found(homes)
        return found([])


class Handler(BaseHTTPRequestHandler):
    """A proxy's connection: CONNECT, and then the website behind it."""

    protocol_version = "HTTP/1.1"
    site: Site

    def do_CONNECT(self) -> None:
        if self.path != f"{HOST}:443":
            self.send_error(502)
            return
        self.send_response(200)
        self.end_headers()
        try:
            self.connection: socket.socket = self.site.tls.wrap_socket(self.connection, server_side=True)
        except OSError:
            return
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)
        self.close_connection = False

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, body = self.site.answer(request)
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""


def reply(data: dict[str, Any]) -> tuple[int, bytes]:
    """A good answer."""
    return 200, json.dumps({"data": data}).encode()


def found(results: list[dict[str, Any]], total: int | None = None) -> tuple[int, bytes]:
    """The answer of a search."""
    return reply({"homeSearch": {"total": len(results) if total is None else total, "results": results}})
