"""Reads JSON, one value a line, strictly, and prints each in a form that other languages print, too."""

import json
import struct
import sys


def without_duplicates(pairs):
    fields = dict(pairs)
    assert len(fields) == len(pairs), f"a name twice: {pairs}"
    return fields


def refuse(word):
    raise ValueError(f"{word} is not JSON")


def canonical(value):
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, (int, float)):
        number = float(value)
        assert number == value, f"{value} is not exact as a double"
        return struct.pack(">d", number + 0.0).hex()
    if isinstance(value, str):
        return f'"{value.encode("utf-16-be").hex()}"'
    if isinstance(value, list):
        return f"[{','.join(map(canonical, value))}]"
    fields = sorted((canonical(name), canonical(item)) for name, item in value.items())
    return "{" + ",".join(f"{name}:{item}" for name, item in fields) + "}"


for line in sys.stdin.buffer.read().decode().split("\n"):
    if line:
        value = json.loads(line, object_pairs_hook=without_duplicates, parse_constant=refuse)
        print(canonical(value))
