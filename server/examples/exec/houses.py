"""Example of an `exec` source: made-up houses for sale, without any data file.

Windrow starts the program once per location. It reads one JSON object from stdin and writes one JSON object with a
`property_id` per line to stdout. Exit code 0 means success. After any other exit code the location has failed,
and stderr is in the run's log; 78 means that a retry is useless.
"""

import json
import random
import sys

HOUSES = 20
INVALID_INPUT = 78


def fail(message):
    print(message, file=sys.stderr)
    sys.exit(INVALID_INPUT)


def houses(location):
    """The same houses for the same location, so that a second run finds nothing new."""
    dice = random.Random(location)
    for number in range(1, HOUSES + 1):
        yield {
            "property_id": f"{location}-{number}",
            "location": location,
            "price": dice.randrange(200_000, 900_000, 5_000),
            "bedrooms": dice.randint(1, 6),
            "sqft_living": dice.randrange(600, 4_000, 10),
        }


def main():
    request = json.load(sys.stdin)
    if request["schema"] != 1:
        fail(f"unsupported schema {request['schema']}; expected 1")
    for house in houses(request["location"]):
        # Flushed, so that Windrow stores the rows while the program still runs.
        print(json.dumps(house), flush=True)


if __name__ == "__main__":
    main()
