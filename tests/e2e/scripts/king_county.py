"""An example of a source: house sales of King County from a CSV file, by ZIP code.

Windrow starts it once for each location. It reads one JSON object from stdin, writes one JSON object
with a `property_id` for each listing to stdout, and exits with 0; an error is a sentence on stderr and
exit code 1. The file is named by the argument, or by WINDROW_SALES_CSV.
"""

import csv
import json
import os
import sys
from datetime import datetime

NUMBERS = ("price", "bedrooms", "bathrooms", "sqft_living", "sqft_lot", "floors", "sqft_above",
           "sqft_basement", "yr_built", "yr_renovated", "lat", "long", "sqft_living15", "sqft_lot15")


def number(text):
    # The file says "?" where nobody knows.
    if text in ("", "?"):
        return None
    value = float(text)
    return int(value) if value.is_integer() else value


def listing(row):
    """One sale as Windrow wants it."""
    sale = {name: number(row[name]) if name in NUMBERS else row[name] for name in row}
    sale["property_id"] = sale.pop("id")
    sale["date"] = datetime.strptime(sale["date"], "%m/%d/%Y").date().isoformat()
    return sale


def main():
    request = json.load(sys.stdin)
    if request.get("schema") != 1:
        sys.exit(f"schema {request.get('schema')} is unknown; 1 is known")
    path = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("WINDROW_SALES_CSV")
    if not path:
        sys.exit("name the CSV file as an argument or in WINDROW_SALES_CSV")
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            columns = next(rows, [])
            zipcode = columns.index("zipcode")
            for row in rows:
                if row[zipcode] == request["location"]:
                    print(json.dumps(listing(dict(zip(columns, row)))))
    except OSError as error:
        sys.exit(f"{path} cannot be read: {error.strerror}")
    except (IndexError, KeyError, ValueError) as error:
        sys.exit(f"{path} does not have the columns of King County's sales: {error}")


if __name__ == "__main__":
    main()
