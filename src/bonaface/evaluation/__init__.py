"""Judging scores: score tables of any system in, figures by ISO/IEC 30107-3 with intervals out."""

from bonaface.evaluation.table import ScoreTable

__all__ = ["ScoreTable"]
