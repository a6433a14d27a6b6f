"""What croniter makes of expressions: the next ticks after instants, in UTC.

Reads a JSON object a line, {"expression": "0 6 * * *", "after": [0, 60]} with instants in unix seconds, and
answers each with a line: for every instant a list of ticks, or null where croniter refuses the expression
or finds no tick.
"""

import json
import sys

from croniter import CroniterError, croniter

TICKS = 10
# The year 2101, in which nothing is due any more.
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
