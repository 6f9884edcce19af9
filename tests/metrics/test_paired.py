import pytest
from scipy.stats import binomtest

from bonaface.core.errors import InputError
from bonaface.metrics.paired import mcnemar


@pytest.mark.parametrize(
    ("first", "second"),
    [(0, 0), (0, 1), (1, 0), (3, 9), (9, 3), (10, 10), (10, 11), (0, 40), (480, 560), (5000, 4)],
)
def test_mcnemar_agrees_with_the_binomial_test(first: int, second: int) -> None:
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_mcnemar_by_hand() -> None:
    # Five presentations differ and all five speak for one system: 2 / 2 ** 5.
    assert mcnemar(0, 5) == pytest.approx(2 / 32)


def test_negative_counts_are_refused() -> None:
    with pytest.raises(InputError, match="got -1 and 3"):
        mcnemar(-1, 3)
