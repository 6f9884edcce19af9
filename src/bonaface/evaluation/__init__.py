"""Judging scores: score tables of any system in, figures by ISO/IEC 30107-3 with intervals out."""

from bonaface.evaluation.report import Report, evaluate_table
from bonaface.evaluation.table import ScoreTable
from bonaface.evaluation.threshold import Rule, Threshold
from bonaface.evaluation.trials import Judging

__all__ = ["Judging", "Report", "Rule", "ScoreTable", "Threshold", "evaluate_table"]
