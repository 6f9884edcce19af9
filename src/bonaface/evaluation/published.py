"""The result tables of the two papers, carried as data.

Sources: Hossain et al., A-DeepPixBiS, DICTA 2020, tables II, III, IV; Roy et al., Bi-FPNFAS, Sensors 2021,
21, 2799, tables 3, 4, 5 and A1. Every row is in published.csv as it is printed, with misprints (see `note`). Figures
that only the text has are rows of the table "text".
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from bonaface.evaluation.report import MeanSd

# Systems that are shown beside ours and can't be run here: how they are named, and where they come from.
PUBLISHED_ONLY: Mapping[str, str] = {
    "fas-bas": "depth and pulse as supervision: Liu et al., Binary or Auxiliary Supervision, CVPR 2018",
    "komulainen": "context of the upper body: Komulainen et al., BTAS 2013 (in the text of A-DeepPixBiS)",
    "yu-pyramid": "pixel-wise supervision in a pyramid: Yu et al., arXiv 2011.12032 (in the text of Bi-FPNFAS)",
    "gradiant": "colour texture and motion: competition on OULU-NPU, Boulkenafet et al., IJCB 2017 (see color-lbp-svm)",
    "massyhnu": "colour texture and attributes: the same competition (see color-lbp-svm)",
    "mixedfasnet": "networks over several colour spaces: the same competition",
    "nas-fas": "a searched network: Yu et al., NAS-FAS, IEEE TPAMI 2020 (mentioned in Bi-FPNFAS without figures)",
}

TEXT = "text"
FIGURES = ("apcer", "bpcer", "acer", "eer", "hter")


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One printed row: a model trained on one protocol and tested on one, figures in per cent.

    `system` is our name of the model where we have it, else the printed one in small letters; `output` its
    score output. `figures` has of `FIGURES` what is printed; `cells` the same as printed.
    """

    paper: str
    table: str
    trained_on: str
    tested_on: str
    printed: str
    system: str
    output: str
    figures: Mapping[str, MeanSd]
    cells: Mapping[str, str]
    note: str


def published() -> list[PublishedRow]:
    """Return all rows of all tables, in the order of print."""
    with files("bonaface.evaluation").joinpath("published.csv").open(encoding="utf-8") as file:
        return [_row(cells) for cells in csv.DictReader(file)]


def _row(cells: Mapping[str, str]) -> PublishedRow:
    printed = {name: cells[name] for name in FIGURES if cells[name]}
    return PublishedRow(
        paper=cells["paper"],
        table=cells["table"],
        trained_on=cells["trained_on"],
        tested_on=cells["tested_on"],
        printed=cells["printed"].removesuffix(" (ours)"),
        system=cells["system"],
        output=cells["output"],
        figures={name: _parsed(cell) for name, cell in printed.items()},
        cells=printed,
        note=cells["note"],
    )


def _parsed(cell: str) -> MeanSd:
    """Read ``2.78 ± 3.47``, over six folds wherever the papers print one, or one number."""
    mean, _, sd = cell.partition("±")
    return MeanSd(float(mean), float(sd), 6) if sd else MeanSd(float(mean), None, 1)
