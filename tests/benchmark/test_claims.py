from pathlib import Path
from typing import get_args

import pytest

from bonaface.benchmark.claims import Claim, Side, Verdict, overall, printed_checks, read_claims
from bonaface.benchmark.spec import read_spec
from bonaface.core.errors import InputError
from bonaface.evaluation.published import PUBLISHED_ONLY

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
GOOD = {
    "claim": "a",
    "paper": "bi-fpnfas",
    "section": "sec. 5.2",
    "says": "it is better",
    "first": "bi-fas",
    "second": "deep-pix-bis",
    "protocols": "[oulu-npu/2, oulu-npu/4]",
    "expect": "lower",
}


def written(folder: Path, **changes: str) -> Path:
    path = folder / "claims.yaml"
    lines = [f"{key}: {value}" for key, value in {**GOOD, **changes}.items() if value]
    path.write_text("- " + "\n  ".join(lines) + "\n")
    return path


def _all() -> dict[str, Claim]:
    return {claim.claim: claim for claim in read_claims(BENCHMARKS / "claims.yaml")}


def test_a_claim_is_read_with_its_sides(tmp_path: Path) -> None:
    (claim,) = read_claims(written(tmp_path, second="[deep-pix-bis, {model: b, output: binary}]"))
    assert claim.one == Side("bi-fas")
    assert claim.others == (Side("deep-pix-bis"), Side("b", "binary"))
    assert claim.measure == "acer"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"says": ""}, "lacks says"),
        ({"paper": "another"}, "expected a-deeppixbis or bi-fpnfas, got 'another'"),
        ({"expect": ""}, "a: `expect` must say what first is against second"),
        ({"second": ""}, "a: a claim has either `second` or, of `first` alone, a `value`"),
        ({"value": "3"}, "a: a claim has either `second` or, of `first` alone, a `value`"),
        ({"protocols": ""}, "a: `protocols` are needed"),
        ({"measure": "training"}, "a: `protocols` are needed, unless the claim is about training"),
        ({"protocols": "[oulu-npu]"}, "expected a protocol as DATASET/PROTOCOL"),
        (
            {"paper": "a-deeppixbis", "first": "a-deep-pix-bis"},
            "a: name the output of a-deep-pix-bis: binary, feature_map",
        ),
    ],
)
def test_rejects_a_claim_that_cannot_be_decided(
    changes: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(InputError) as caught:
        read_claims(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


def test_rejects_two_claims_of_one_name(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(2 * path.read_text())
    with pytest.raises(InputError, match="every claim needs a name of its own, and 'a' is there twice"):
        read_claims(path)


# By hand, from the papers' tables: (claim, checks that hold, all checks, difference of the last).
@pytest.mark.parametrize(
    ("name", "holding", "checks", "last"),
    [
        ("three of four protocols", 3, 4, "-19.78 points, -79.1 %"),  # 0.7 > 0.42; 5.22 - 25.0
        ("almost 20 %", 1, 1, "-19.78 points, -79.1 %"),
        ("0.22 above CDCN++", 1, 1, "+0.22 points, +4.4 %"),  # 5.22 - 5.0
        ("consistently better", 1, 3, "+2.87 points, +12.6 %"),  # 0.7 > 0.4, 9.35 < 12.4, 25.57 > 22.7
        ("58 % lower", 1, 1, "-3.96 points, -57.6 %"),  # 2.92 against 6.88
        ("Bi-FAS, other than protocol I", 5, 6, "+1.66 points, +31.8 %"),  # 6.88 against 5.22
        ("Bi-FAS-S, other than protocol I", 6, 6, "-2.30 points, -44.1 %"),
        ("lowest of the pixel-wise", 3, 3, "-1.88 points, -39.2 %"),  # 2.92 against 4.8 in the text
        ("14 % on their own set", 1, 1, "claimed: 14"),
        ("similar to NAS-FAS", 0, 0, ""),
    ],
)
def test_the_papers_own_tables_decide_by_arithmetic(name: str, holding: int, checks: int, last: str) -> None:
    found = printed_checks(_all()[name])
    assert (sum(check.verdict == "holds" for check in found), len(found)) == (holding, checks)
    assert (found[-1].difference if found else "") == last
    assert {check.verdict for check in found} <= {"holds", "contradicted"}


def test_a_figure_that_is_not_the_claimed_one_contradicts(tmp_path: Path) -> None:
    for changes, verdict in (
        ({"percent": "-58"}, "holds"),  # -57.56 %
        ({"percent": "-57"}, "contradicted"),
        ({"percent": "-57.6"}, "holds"),
        ({"points": "-3.96"}, "holds"),
        ({"points": "-3.9"}, "contradicted"),
        ({"expect": "higher"}, "contradicted"),
    ):
        path = written(tmp_path, first="bi-fas-s", second="bi-fas", protocols="[oulu-npu/4]", **changes)
        (check,) = printed_checks(read_claims(path)[0])
        assert check.verdict == verdict, changes
        assert check.figures == ("2.92 ± 3.41", "6.88 ± 2.82")


def test_a_claim_holds_where_enough_of_its_comparisons_do() -> None:
    yes, no, unshown, open_ = get_args(Verdict)
    cases: tuple[tuple[tuple[Verdict, ...], int | None, Verdict], ...] = (
        ((yes, yes), None, yes),
        ((yes, no), None, no),
        ((yes, yes, yes, no), 3, yes),
        ((yes, yes, no, no), 3, no),
        ((yes, unshown), None, unshown),
        ((yes, unshown, open_), None, open_),
        ((no, open_), None, no),
        ((yes, open_), 1, yes),
        ((), None, open_),
    )
    for verdicts, at_least, expected in cases:
        assert overall(verdicts, at_least) == expected


def test_every_side_of_a_claim_is_a_row_of_both_grids() -> None:
    claims = _all().values()
    sides = {side for claim in claims for side in (claim.one, *(claim.others if claim.second else ()))}
    for name in ("papers", "sandbox"):
        rows = {cell.model.name for cell in read_spec(BENCHMARKS / f"{name}.yaml").cells}
        assert {side.model for side in sides} - rows == {"nas-fas", "yu-pyramid"} <= set(PUBLISHED_ONLY)


def test_a_claim_quotes_a_sentence() -> None:
    for claim in _all().values():
        assert len(claim.says) > 30, claim.claim
        assert claim.section.startswith(("sec. ", "abstract", "appendix")), claim.claim
