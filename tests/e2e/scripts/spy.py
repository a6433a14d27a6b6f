"""Prints a row with what a program of a source has, and what it can read of the processes above it."""

import json
import os


def attempt(read, place):
    """The error of a read, or what it has read."""
    try:
        return str(read(place))
    except OSError as error:
        return type(error).__name__


def stat(pid):
    return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()


def beginning(place):
    with open(place, "rb") as file:
        return file.read(1000)


def descriptors():
    listed = sorted(os.listdir("/proc/self/fd"), key=int)
    # The directory itself is closed by now.
    return [number for number in listed if os.path.lexists(f"/proc/self/fd/{number}")]


guard = os.getppid()
above = {"guard": guard, "server": int(stat(guard)[1])}
status = dict(line.split(":\t") for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
row = {
    "property_id": "1",
    "ids": [os.getuid(), os.geteuid(), os.getgid(), os.getegid()],
    "groups": os.getgroups(),
    "descriptors": descriptors(),
    "environment": dict(os.environ),
    "status": {name: status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs")},
    "read": {
        f"{name} {file}": attempt(os.listdir if file == "fd" else beginning, f"/proc/{pid}/{file}")
        for name, pid in above.items()
        for file in ("environ", "mem", "maps", "fd")
    },
}
# By name, as many programs write to it.
with open("/dev/stderr", "w") as log:
    log.write("written by name\n")
print(json.dumps(row))
