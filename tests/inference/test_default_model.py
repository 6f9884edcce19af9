"""The model that ships opens as any bundle, is small, says where it comes from, and tells its two examples apart."""

import json
import re
from pathlib import Path

import pytest

from bonaface import load
from bonaface.core.records import SIMULATED
from bonaface.inference.bundle import DEFAULT_MODEL, EXAMPLES, Bundle

EXAMPLE = {"bona-fide.jpg": "bona fide", "attack.jpg": "attack"}


def test_it_is_small_and_reads_three_views() -> None:
    bundle = Bundle.open(DEFAULT_MODEL)
    assert sum(path.stat().st_size for path in DEFAULT_MODEL.rglob("*") if path.is_file()) <= 10 << 20
    assert bundle.card.views == ("tight", "square-1.3", "square-2.0")
    assert set(bundle.card.operating_points) == {"eer", "bpcer=0.01"}


def test_its_thresholds_come_from_simulated_presentations_alone() -> None:
    card = Bundle.open(DEFAULT_MODEL).card
    for point in card.operating_points.values():
        assert point.source.dataset.startswith(SIMULATED)
        assert point.source.subjects > 200


def test_it_carries_no_path_of_the_machine_that_made_it() -> None:
    text = (DEFAULT_MODEL / "bundle.json").read_text()
    assert "store" not in json.loads(text)["provenance"]["settings"]
    assert not re.search(r'"(/|~|[A-Za-z]:\\)', text), "no text in it begins as an absolute path does"


@pytest.mark.parametrize(("name", "decision"), EXAMPLE.items())
def test_the_examples_are_told_apart(name: str, decision: str) -> None:
    verdict = load()(EXAMPLES / name)
    assert verdict.decision == decision
    assert verdict.score is not None
    assert abs(verdict.score - verdict.threshold) > 0.1, (
        "an example that is a hair's breadth from the threshold"
    )


def test_the_examples_are_all_that_is_in_their_folder() -> None:
    assert {path.name for path in Path(EXAMPLES).iterdir()} == set(EXAMPLE)
