"""Processes, as tests see them."""

from __future__ import annotations

from pathlib import Path

from fake_server import FakeServer


def alive(pid: int) -> bool:
    """Whether the process runs; zombies do not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def pids_of(server: FakeServer, file: Path) -> list[int]:
    """Waits for a hanging source; its process ids."""
    server.wait(file.exists)
    return [int(pid) for pid in file.read_text().split()]
