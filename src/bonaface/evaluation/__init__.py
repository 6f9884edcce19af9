"""Judge scores: read score tables of any system, give figures by ISO/IEC 30107-3 with intervals."""

from bonaface.evaluation.folds import EvaluationSettings
from bonaface.evaluation.operating_point import Rule, Threshold
from bonaface.evaluation.report import Report, evaluate_table
from bonaface.evaluation.score_table import ScoreTable

__all__ = ["EvaluationSettings", "Report", "Rule", "ScoreTable", "Threshold", "evaluate_table"]
