"""Computes the clock changes of all time zones in a directory for two years, and ticks around them.

Takes the directory, or `tzdata` for the installed package. Writes a line with the directory, its edition, the start
and the expressions, and then one line for each zone:
{"zone": "Europe/Berlin", "offset": 3600, "changes": [[1774746000, 7200], ...], "ticks": [[[1774744200, ...], ...], ...]}
with the new offset of each change, and for each change the ticks of each expression.
"""

import importlib.resources
import json
import os
import sys
import time
import zoneinfo
from datetime import datetime, timedelta

TWO_YEARS = 2 * 366 * 86400
STEP = 6 * 3600
MINUTE = timedelta(minutes=1)
MINUTES_AROUND = 4 * 60
# Minute and hour, of which None is a star, and whether the expression follows the clock.
EXPRESSIONS = {
    "*/30 * * * *": ({0, 30}, None, True),
    "10 * * * *": ({10}, None, True),
    "30 2 * * *": ({30}, {2}, False),
    "0 0 * * *": ({0}, {0}, False),
    "15,45 0-4 * * *": ({15, 45}, {0, 1, 2, 3, 4}, False),
    "0 9 * * *": ({0}, {9}, False),
}


def offset_at(zone, second):
    return int(datetime.fromtimestamp(second, zone).utcoffset().total_seconds())


def first_with(zone, before, behind):
    """The first second with the offset at `behind`, if there is one change in between."""
    old = offset_at(zone, before)
    while behind - before > 1:
        middle = (before + behind) // 2
        if offset_at(zone, middle) == old:
            before = middle
        else:
            behind = middle
    return behind


def changes(zone, start):
    found = []
    for second in range(start, start + TWO_YEARS, STEP):
        if offset_at(zone, second) != offset_at(zone, second + STEP):
            change = first_with(zone, second, second + STEP)
            found.append([change, offset_at(zone, change)])
    return found


def names(expression, wall):
    minutes, hours, _ = expression
    return wall.minute in minutes and (hours is None or wall.hour in hours)


def ticks_around(zone, change, expression):
    """The rule of cron(8), minute by minute."""
    follows_clock = expression[2]
    begin = change - MINUTES_AROUND * 60
    wall_at = lambda second: datetime.fromtimestamp(second, zone).replace(tzinfo=None, fold=0)
    shown_before = wall_at(begin)
    ticks = []
    for minute in range(1, 2 * MINUTES_AROUND + 1):
        second = begin + minute * 60
        shown = wall_at(second)
        is_due = follows_clock and names(expression, shown)
        while not follows_clock and shown_before < shown:
            shown_before += MINUTE
            is_due = is_due or names(expression, shown_before)
        if is_due:
            ticks.append(second)
    return ticks


def answer(name, zone, start):
    found = changes(zone, start)
    ticks = [[ticks_around(zone, at, it) for it in EXPRESSIONS.values()] for at, _ in found]
    return {"zone": name, "offset": offset_at(zone, start), "changes": found, "ticks": ticks}


def main(place):
    start = int(time.time()) // 86400 * 86400
    edition = None
    if place == "tzdata":
        import tzdata

        edition = tzdata.IANA_VERSION
        place = str(importlib.resources.files("tzdata") / "zoneinfo")
    zoneinfo.reset_tzpath(to=[place])
    head = {"directory": place, "edition": edition, "start": start, "expressions": list(EXPRESSIONS)}
    print(json.dumps(head))
    for name in sorted(zoneinfo.available_timezones()):
        if os.path.isfile(os.path.join(place, name)):
            print(json.dumps(answer(name, zoneinfo.ZoneInfo(name), start)))


main(sys.argv[1])
