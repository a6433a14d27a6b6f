"""Writes made-up house sales in the shape of King County's: 21,597 sales of 21,420 houses in 70 ZIP codes.

For machines without the real file. Always the same: generate_sales.py OUT
"""

import csv
import random
import sys

HEADER = ("id,date,price,bedrooms,bathrooms,sqft_living,sqft_lot,floors,waterfront,view,condition,"
          "grade,sqft_above,sqft_basement,yr_built,yr_renovated,zipcode,lat,long,sqft_living15,"
          "sqft_lot15").split(",")
HOUSES, SOLD_AGAIN, ZIP_CODES = 21_420, 177, 70


def sale(dice, house, month):
    living = dice.randrange(500, 6000, 10)
    lot = dice.randrange(600, 40_000)
    return [1_000_000_000 + house * 7, f"{month:02}/{dice.randint(1, 28):02}/2014",
            living * dice.randint(120, 500), dice.randint(1, 6), dice.randint(2, 14) / 4, living, lot,
            dice.choice([1, 1.5, 2, 3]), dice.choice(["", "NO", "YES"]), "NONE", "Average", "7 Average",
            living, 0, dice.randint(1900, 2014), 0, 98001 + house % ZIP_CODES,
            round(dice.uniform(47.1, 47.8), 4), round(dice.uniform(-122.5, -121.3), 3), living, lot]


def main():
    dice = random.Random(2014)
    with open(sys.argv[1], "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(HEADER)
        out.writerows(sale(dice, house, dice.randint(1, 6)) for house in range(HOUSES))
        # The same house again is a duplicate within one run.
        out.writerows(sale(dice, house, dice.randint(7, 12)) for house in range(SOLD_AGAIN))


if __name__ == "__main__":
    main()
