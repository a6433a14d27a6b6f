"""A ready-made source that uses the package `homeharvest`, which reads realtor.com.

    python -m windrow_worker.homeharvest --server 127.0.0.1:50051 --capacity 4

Behavior of homeharvest 0.8 that the source depends on, and the reason for `watch`:

- `scrape_property` returns an empty DataFrame not only if there are no listings, but also for GraphQL errors,
  for every HTTP status except 403 whose body is JSON, for an unknown place, and for a single address after
  any exception. It silently drops a later page that fails like this.
- The lookup of a place raises `tenacity.RetryError` after three tries (also for 403); reading listings
  raises the plain exception after one try.
- Requests have no timeout.
- With only one of `date_from` and `date_to` in days the search is unbounded; it needs both. `past_days`
  counts back from the current time.
- For a single address without a radius it ignores listing type, dates and limit.
"""
