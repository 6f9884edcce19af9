"""The crop store: face crops without loss, and how they are prepared."""
