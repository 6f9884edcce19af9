"""Data sets: their official layouts, protocols and tables."""
