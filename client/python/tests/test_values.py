"""What becomes of the values that sources yield."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from windrow_worker import Property, ScrapeError
from windrow_worker._values import convert


def converted(value: object) -> Any:
    """What becomes of one value."""
    return convert(Property("x", {"value": value}))[1]["value"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (float("-inf"), None),
        (True, True),
        (2**53 + 1, "9007199254740993"),
        (Decimal("1.5"), 1.5),
        (date(2026, 3, 1), "2026-03-01"),
        (datetime(2026, 3, 1, 4, 5, tzinfo=UTC), "2026-03-01T04:05:00+00:00"),
        ("a\0b\ud800", "a\N{REPLACEMENT CHARACTER}b?"),
        ((1, {"a": None}), [1, {"a": None}]),
        ({1: 2}, {"1": 2}),
    ],
)
def test_values(value: object, expected: object) -> None:
    assert converted(value) == expected


@pytest.mark.parametrize("key", [7, 7.0, "7"])
def test_ids_may_be_whole_numbers(key: Any) -> None:
    assert convert(Property(key, {}))[0] == "7"


def test_numpy_and_pandas() -> None:
    np = pytest.importorskip("numpy")
    pd = pytest.importorskip("pandas")
    assert convert(Property(np.int64(7), {}))[0] == "7"
    assert converted(np.int64(3)) == 3 and type(converted(np.int64(3))) is int
    assert converted(np.float32(0.5)) == 0.5
    assert converted(np.float64("nan")) is None
    assert converted(np.bool_(True)) is True
    assert converted(np.array([1, 2])) == [1, 2]
    assert converted(np.datetime64("2026-03-01")) == "2026-03-01"
    assert converted(pd.NA) is None
    assert converted(pd.NaT) is None
    assert converted(pd.Timestamp("2026-03-01T01:02:03")) == "2026-03-01T01:02:03"


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (Property("x" * 201, {}), "has 201 characters instead of 1 to 200"),
        (Property(7.5, {}), "is of type float instead of str or int"),  # type: ignore[arg-type]
        (Property(True, {}), "is of type bool instead of str or int"),
        (Property("x", {"a": "x" * 2**20}), "has 1048597 bytes; the maximum is 1048576"),
        (Property("x", {"a": [1e300] * 10_000}), "bytes; the maximum is 1048576"),
        (Property("x", []), "is of type list instead of dict"),  # type: ignore[arg-type]
        (Property("x", {"a": {(1, 2): 3}}), r"the key \(1, 2\) of a is not a str"),
        (Property("x", {"a": b"1"}), "`a` is of type bytes, which JSON cannot represent"),
        ("x", "a value of type str instead of a Property"),
    ],
)
def test_refused(item: object, text: str) -> None:
    with pytest.raises(ScrapeError, match=text):
        convert(item)


def test_depth() -> None:
    body: dict[str, Any] = {}
    body["again"] = body
    with pytest.raises(ScrapeError, match="nested deeper than 30 levels"):
        convert(Property("x", body))
