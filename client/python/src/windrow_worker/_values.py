"""Converts properties to values that JSON can represent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from .task import Property, ScrapeError

MAX_ID = 200
MAX_DEPTH = 20
# Numbers of a body are doubles: larger integers would lose digits.
MAX_WHOLE = 2**53


def convert(item: object) -> tuple[str, dict[str, Any]]:
    """The id and the body of a property. Raises ScrapeError if it is invalid."""
    if not isinstance(item, Property):
        raise ScrapeError(f"the source yielded a value of type {type(item).__name__} instead of a Property")
    if not isinstance(item.id, str):
        raise ScrapeError(f"the id of a property is of type {type(item.id).__name__} instead of str")
    if not 1 <= len(item.id) <= MAX_ID:
        raise ScrapeError(f"the id of a property has {len(item.id)} characters instead of 1 to {MAX_ID}")
    if _text(item.id) != item.id:
        raise ScrapeError(f"the id of a property has characters that cannot be sent: {item.id!a}")
    if not isinstance(item.body, Mapping):
        raise ScrapeError(f"the body of property '{item.id}' is of type {type(item.body).__name__} instead of dict")
    try:
        return item.id, _mapping(item.body, "", 1)
    except ValueError as error:
        raise ScrapeError(f"property '{item.id}': {error}") from None


def _mapping(value: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        raise ValueError(f"the body is nested deeper than {MAX_DEPTH} levels")
    out = {}
    for key, child in value.items():
        if isinstance(key, bool) or not isinstance(key, str | int):
            raise ValueError(f"the key {key!r} of {path or 'the body'} is not a str")
        key = _text(str(key))
        out[key] = _value(child, f"{path}.{key}" if path else key, depth)
    return out


def _value(value: Any, path: str, depth: int) -> Any:
    match value:
        case None | bool():
            return value
        case Enum():
            return _value(value.value, path, depth)
        case str():
            return _text(value)
        case int():
            return int(value) if abs(value) <= MAX_WHOLE else str(value)
        case float():
            return float(value) if math.isfinite(value) else None
        case date() | time():
            # pandas.NaT is a datetime whose isoformat() is "NaT".
            text = value.isoformat()
            return None if text == "NaT" else text
        case Decimal():
            return _value(float(value), path, depth)
        case UUID():
            return str(value)
        case Mapping():
            return _mapping(value, path, depth + 1)
        case list() | tuple() | set() | frozenset():
            if depth >= MAX_DEPTH:
                raise ValueError(f"the body is nested deeper than {MAX_DEPTH} levels")
            return [_value(child, f"{path}[{index}]", depth + 1) for index, child in enumerate(value)]
    return _foreign(value, path, depth)


def _foreign(value: Any, path: str, depth: int) -> Any:
    """Converts values of numpy and pandas, which need not be installed."""
    package = type(value).__module__.partition(".")[0]
    if package == "pandas" and type(value).__name__ == "NAType":
        return None
    if package == "numpy":
        if type(value).__name__ in ("datetime64", "timedelta64"):
            text = str(value)
            return None if text == "NaT" else text
        return _value(value.tolist(), path, depth)
    raise ValueError(f"`{path}` is of type {type(value).__name__}, which JSON cannot represent")


def _text(value: str) -> str:
    """Replaces characters that cannot be sent or stored: unpaired surrogates and NUL."""
    return value.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")
