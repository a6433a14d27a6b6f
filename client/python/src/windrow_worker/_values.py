"""Converts properties to values that JSON can represent."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from .task import Property, ScrapeError

MAX_ID = 200
# The limits of the server, which reads the sizes of values in the same way.
MAX_DEPTH = 30
MAX_BYTES = 1024 * 1024
FIELD_BYTES = 20
ITEM_BYTES = 12
# Numbers of a body are doubles: larger integers would lose digits.
MAX_WHOLE = 2**53


def convert(item: object) -> tuple[str, dict[str, Any]]:
    """The id and the body of a property. Raises ScrapeError if it is invalid."""
    if not isinstance(item, Property):
        raise ScrapeError(f"the source yielded a value of type {type(item).__name__} instead of a Property")
    key = _id(item.id)
    if not 1 <= len(key) <= MAX_ID:
        raise ScrapeError(f"the id of a property has {len(key)} characters instead of 1 to {MAX_ID}")
    if _text(key) != key:
        raise ScrapeError(f"the id of a property has characters that cannot be sent: {key!a}")
    if not isinstance(item.body, Mapping):
        raise ScrapeError(f"the body of property '{key}' is of type {type(item.body).__name__} instead of dict")
    try:
        body = _mapping(item.body, "", 1)
    except ValueError as error:
        raise ScrapeError(f"property '{key}': {error}") from None
    size = _size(body)
    if size > MAX_BYTES:
        raise ScrapeError(f"property '{key}' has {size} bytes; the maximum is {MAX_BYTES}", permanent=True)
    return key, body


def _id(value: object) -> str:
    """An id may be a whole number; pandas turns a column of whole numbers with a gap into floats."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    try:
        if not isinstance(value, bool):
            return str(operator.index(value))  # type: ignore[arg-type]
    except TypeError:
        pass
    raise ScrapeError(f"the id of a property is of type {type(value).__name__} instead of str or int")


def _size(value: Any) -> int:
    """The size of a converted value as the server counts it."""
    match value:
        case str():
            return len(value.encode())
        case float() if value and not 1e-5 <= abs(value) < 1e17:
            return len(format(Decimal(repr(value)), "f"))
        case dict():
            return sum(FIELD_BYTES + len(key.encode()) + _size(child) for key, child in value.items())
        case list():
            return sum(ITEM_BYTES + _size(child) for child in value)
    return 0


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
