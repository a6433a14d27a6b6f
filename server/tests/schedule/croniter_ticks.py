"""Computes the next ticks of cron expressions with croniter, in UTC.

Reads one JSON object per line, {"expression": "0 6 * * *", "after": [0, 60]} with instants in unix seconds, and
writes one line for each: a list of ticks per instant, or null if croniter rejects the expression or finds no
tick.
"""

import json
import sys

from croniter import CroniterError, croniter

TICKS = 10
# Begin of the year 2101, the end of supported time.
END = 4133980800


def ticks_after(expression, instant):
    ticks = []
    schedule = croniter(expression, float(instant))
    while len(ticks) < TICKS:
        tick = int(schedule.get_next(float))
        if tick >= END:
            break
        ticks.append(tick)
    return ticks


def answer(case):
    try:
        return [ticks_after(case["expression"], instant) for instant in case["after"]]
    except CroniterError:
        return None


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))))
