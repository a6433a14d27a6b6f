"""A ready source on the package `homeharvest`, which reads realtor.com.

    python -m windrow_worker.homeharvest --server 127.0.0.1:50051 --capacity 4

What the source knows of homeharvest 0.8, and the reason for `watch`:

- `scrape_property` returns an empty DataFrame not only when there are no listings. It does so too when
  GraphQL answers with errors, for every HTTP status but 403 whose body is JSON, when a place is not
  known, and for a single address after any exception at all. A page after the first one that fails in
  this way is left out without a word.
- What it raises of its own comes as `tenacity.RetryError` after three tries (403 included) when the
  place is looked up, and as the plain exception after one try when listings are read.
- It sends requests without a time-out.
- With one of `date_from` and `date_to` in days, the search is not bounded at all; it takes both.
  `past_days` counts back from now.
- For a single address without a radius it ignores listing type, dates, and limit.
"""
