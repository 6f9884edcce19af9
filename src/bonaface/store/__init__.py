"""The crop store: face crops without loss, and how they are prepared."""

from bonaface.core.parquet import arrow

arrow("a crop store, whose tables are in Parquet,")  # every module here needs it: said once, in a sentence
