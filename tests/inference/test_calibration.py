"""Calibration: the threshold, its rate and interval, what is refused, and drift from it."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kstwobign

from bonaface.core.errors import InputError, ModelFileError
from bonaface.core.records import Score
from bonaface.evaluation.operating_point import Rule
from bonaface.inference.bundle import Bundle, BundleCard
from bonaface.inference.calibration import OWN, calibrate, check_rule, reference_of, write_calibrated
from bonaface.inference.drift import compare_with_calibration
from bonaface.metrics.intervals import clopper_pearson
from bonaface.testing.networks import card as make_card
from bonaface.testing.networks import write_bundle

ONE_PERCENT = Rule("bpcer", 0.01)


def rows(scores: np.ndarray, label: int = 1, people: int = 0, silent: int = 0) -> list[Score]:
    kind = "bona-fide" if label else "attack"
    found = []
    for number, score in enumerate(scores.tolist()):
        subject = f"p{number % people}" if people else ""
        name = f"{kind}/{number}"
        species = "" if label else f"print-{number % 2}"
        found.append(Score(name, name, 0, subject, label, species, "test", score, "", {"score": score}))
    for number in range(silent):
        name = f"{kind}/silent-{number}"
        species = "" if label else "print-0"
        found.append(Score(name, name, 0, "", label, species, "test", response="no face"))
    return found


@pytest.fixture
def card() -> BundleCard:
    return make_card()


def test_the_threshold_keeps_the_rate_and_says_how_sure_that_is(card: BundleCard) -> None:
    """Of 1,000 independent scores 0.000 to 0.999 ten may be rejected: the threshold lies between the 10th and 11th."""
    genuine = np.random.default_rng(0).permutation(1000) / 1000
    new, found = calibrate(card, rows(genuine, silent=3), ONE_PERCENT, "kiosk")
    assert found.threshold == pytest.approx(0.0095)
    assert (found.errors.bpcer.errors, found.errors.bpcer.total, found.silent) == (10, 1000, 3)
    np.testing.assert_allclose(found.errors.bpcer.interval, clopper_pearson(10, 1000), atol=2e-4)
    assert (found.subjects, found.bona_fide, found.attacks) == (1000, 1000, 0)
    assert new.default_point == "bpcer=0.01"
    assert new.threshold("score", "frame") == new.threshold("score", "video") == found.threshold
    assert new.threshold("score", "frame", "eer") == card.threshold("score", "frame", "eer")
    assert new.source == card.source  # what the model was trained on stays known
    point = new.point("bpcer=0.01").source
    assert (point.dataset, point.protocol, point.bona_fide, point.subjects) == ("kiosk", OWN, 1000, 1000)
    assert new.provenance[OWN]["bpcer"]["errors"] == 10
    assert "apcer" not in new.provenance[OWN]


@pytest.mark.parametrize("about", ["long " * 60, "caf\udce9", "two\nlines"])
def test_any_name_of_the_pictures_is_kept_in_the_bundle(card: BundleCard, tmp_path: Path, about: str) -> None:
    bundle = Bundle.open(write_bundle(tmp_path / "model"))
    write_calibrated(
        bundle, calibrate(card, rows(np.linspace(0, 1, 200)), ONE_PERCENT, about)[0], tmp_path / "new"
    )
    said = Bundle.open(tmp_path / "new").card.point("bpcer=0.01").source.dataset
    assert said == about.replace("\udce9", r"\udce9").replace("\n", r"\n")[:200]


def test_attacks_are_judged_at_the_threshold_and_do_not_move_it(card: BundleCard) -> None:
    genuine, attacks = np.linspace(0.5, 1, 200), np.linspace(0, 0.6, 61)
    alone = calibrate(card, rows(genuine), Rule("bpcer", 0.05), "kiosk")[1]
    new, found = calibrate(card, rows(genuine) + rows(attacks, 0), Rule("bpcer", 0.05), "kiosk")
    assert found.threshold == alone.threshold
    accepted = int((attacks >= found.threshold).sum())
    assert found.errors.apcer["pooled"].errors == accepted > 0
    assert set(found.errors.per_species) == {"print-0", "print-1"}
    assert new.provenance[OWN]["apcer"]["total"] == 61


def test_the_threshold_holds_for_further_people(card: BundleCard) -> None:
    """The interval covers the rate among everybody: thresholds set on 300 of them, in at least 93 of 100 trials."""
    random, held = np.random.default_rng(5), 0
    everybody = random.beta(8, 2, 200_000)
    for _ in range(100):
        found = calibrate(card, rows(random.choice(everybody, 300)), Rule("bpcer", 0.05), "kiosk")[1]
        low, high = found.errors.bpcer.interval
        held += low <= float((everybody < found.threshold).mean()) <= high
    assert held >= 93


def test_too_few_pictures_are_refused_with_how_many_it_takes(card: BundleCard) -> None:
    with pytest.raises(
        InputError, match=r"takes at least 100 .*, got 40; give 60 more.* or keep a BPCER of 0\.025"
    ):
        calibrate(card, rows(np.linspace(0.1, 1, 40)), ONE_PERCENT, "kiosk")
    calibrate(card, rows(np.linspace(0.1, 1, 100)), ONE_PERCENT, "kiosk")
    with pytest.raises(InputError, match="got 0"):
        calibrate(card, rows(np.linspace(0, 1, 200), 0) + rows(np.array([]), silent=5), ONE_PERCENT, "kiosk")


@pytest.mark.parametrize("count", [2, 3, 6, 7, 30, 99])
def test_the_bpcer_that_is_advised_is_kept_by_as_many(count: int) -> None:
    with pytest.raises(InputError, match="or keep a BPCER of") as refused:
        check_rule(ONE_PERCENT, count)
    advised = float(str(refused.value).rpartition(" ")[2])
    assert 1 / count <= advised < 1.1 / count
    check_rule(Rule("bpcer", advised), count)


def test_no_bpcer_is_advised_where_none_is_left() -> None:
    """One presentation could only keep a BPCER of 1, at which all may be rejected."""
    with pytest.raises(InputError, match=r"got 1; give 99 more, of further people$"):
        check_rule(ONE_PERCENT, 1)


def test_many_pictures_of_few_people_are_too_few(card: BundleCard) -> None:
    random = np.random.default_rng(0)
    own = random.uniform(0.2, 0.9, 5)[np.arange(1000) % 5] + random.normal(0, 0.01, 1000)
    with pytest.raises(
        InputError, match=r"these 1000 of 5 people say as much as \d+ independent.* takes 100; give"
    ):
        calibrate(card, rows(own, people=5), ONE_PERCENT, "kiosk")
    with pytest.raises(InputError, match="of 1 people"):
        calibrate(card, rows(own, people=1), ONE_PERCENT, "kiosk")


@pytest.mark.parametrize("rule", [Rule("eer"), Rule("bpcer", 0.0)])
def test_other_rules_are_refused(card: BundleCard, rule: Rule) -> None:
    with pytest.raises(InputError, match="BPCER"):
        calibrate(card, rows(np.linspace(0, 1, 200)), rule, "kiosk")


def test_a_calibrated_bundle_is_whole(tmp_path: Path) -> None:
    source = Bundle.open(write_bundle(tmp_path / "source"))
    scores = np.round(np.random.default_rng(0).uniform(0, 1, 12_000), 6)
    card, _ = calibrate(source.card, rows(scores, people=3000), ONE_PERCENT, "kiosk")
    write_calibrated(source, card, tmp_path / "new")
    opened = Bundle.open(tmp_path / "new")
    assert opened.onnx.read_bytes() == source.onnx.read_bytes()
    kept = reference_of(opened.card)
    assert len(kept.scores) == 10_000  # more would not fit into a description
    assert set(kept.scores) <= set(scores.tolist())
    assert np.quantile(kept.scores, 0.3) == pytest.approx(np.quantile(scores, 0.3), abs=1e-3)
    assert not list(tmp_path.glob(".new*"))
    assert "p17" not in (tmp_path / "new" / "bundle.json").read_text()  # nobody's name is in it


def test_drift_is_told_from_chance(card: BundleCard) -> None:
    random = np.random.default_rng(2)
    new, _ = calibrate(card, rows(random.beta(8, 2, 2000)), ONE_PERCENT, "kiosk")
    same, darker, slightly = random.beta(8, 2, 1500), random.beta(8, 3, 1500), random.beta(8, 2.1, 1500)
    nobody = np.arange(1500).astype(object)
    quiet = compare_with_calibration(new, same, nobody)
    assert not quiet.found
    loud = compare_with_calibration(new, darker, nobody)
    assert loud.found
    assert loud.test.lower > 0.6
    assert loud.rejected[1] == pytest.approx(float((darker < new.threshold("score", "frame")).mean()))
    assert not compare_with_calibration(new, slightly, nobody).found  # too little to matter
    assert sum(loud.histogram.counts["today"]) == 1500
    assert sum(loud.histogram.counts["calibration"]) == 2000
    assert kstwobign.sf(quiet.least * (2000 * 1500 / 3500) ** 0.5) == pytest.approx(0.01, rel=1e-3)


def test_drift_refuses_what_it_can_not_judge(card: BundleCard) -> None:
    with pytest.raises(ModelFileError, match="bonaface calibrate makes one"):
        compare_with_calibration(card, np.ones(50), np.arange(50).astype(object))
    new, _ = calibrate(card, rows(np.linspace(0, 1, 200)), ONE_PERCENT, "kiosk")
    with pytest.raises(InputError, match="at least 30"):
        compare_with_calibration(new, np.ones(5), np.arange(5).astype(object))
    with pytest.raises(InputError, match="another system's"):
        compare_with_calibration(new, np.full(50, 3.0), np.arange(50).astype(object))
    for wrong in ({"reference": {"output": "score", "scores": [2.0], "subjects": [0]}}, {"reference": 1}):
        from msgspec.structs import replace

        with pytest.raises(ModelFileError, match="none that Bonaface writes"):
            compare_with_calibration(
                replace(new, provenance={OWN: wrong}), np.ones(50), np.arange(50).astype(object)
            )
