"""The worker of the source `homeharvest`."""

from __future__ import annotations

import argparse
import logging
import sys
from functools import partial
from importlib.util import find_spec

from .. import Worker, WorkerError


def main() -> int:
    """Runs the worker; returns the exit code."""
    options = parse_arguments()
    logging.basicConfig(level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s")
    if find_spec("homeharvest") is None:
        print("homeharvest is not installed: pip install 'windrow-worker[homeharvest]'", file=sys.stderr)
        return 2
    # Not above: it imports what only comes with homeharvest.
    from .source import scrape

    try:
        worker = Worker(server=options.server, capacity=options.capacity, grace=options.grace)
        register = worker.source(options.source, timeout=options.timeout)
        register(partial(scrape, call_timeout=options.call_timeout))
        worker.run()
    except (ValueError, WorkerError) as error:
        print(f"windrow-worker-homeharvest: {error}", file=sys.stderr)
        return 1
    return 0


def parse_arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        prog="windrow-worker-homeharvest",
        description="Executes runs of a Windrow server with the package homeharvest.",
        epilog="You are responsible for respecting the terms of the website. See the README.",
    )
    parser.add_argument("--server", help="host:port or https://host:port; separate several with commas (default: $WINDROW_SERVER or 127.0.0.1:50051)")
    parser.add_argument("--capacity", type=int, default=1, help="maximum runs in progress (default: %(default)s)")
    parser.add_argument(
        "--source", default="homeharvest", help="name of the source on the server (default: %(default)s)"
    )
    parser.add_argument(
        "--timeout", type=float, default=1800.0, help="timeout of a location in seconds (default: %(default)g)"
    )
    parser.add_argument(
        "--call-timeout",
        type=float,
        default=300.0,
        help="timeout of one homeharvest call (one listing type of a location) in seconds (default: %(default)g)",
    )
    parser.add_argument(
        "--grace",
        type=float,
        default=20.0,
        help="seconds to finish running attempts after SIGTERM (default: %(default)g)",
    )
    parser.add_argument(
        "--log-level", default="info", choices=["debug", "info", "warning", "error"], help="(default: %(default)s)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
