"""Two systems on the same presentations: is the difference of their decisions more than chance?"""

from bonaface.core.errors import InputError
from bonaface.metrics.intervals import beta_cdf


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the p-value of McNemar's exact two-sided test (1947) of `only_first` against `only_second` errors.

    They count the presentations that only the first and only the second system decided wrongly; under the
    null hypothesis each is a fair coin's throw. 1 where the systems never differ.

    Raises:
        InputError: a negative count.
    """
    if min(only_first, only_second) < 0:
        raise InputError(f"McNemar's test counts errors from 0, got {only_first} and {only_second}")
    throws, fewer = only_first + only_second, min(only_first, only_second)
    if 2 * fewer == throws:
        return 1.0
    # P(X <= k) of n fair throws is I_1/2(n - k, k + 1).
    return min(1.0, 2 * beta_cdf(0.5, throws - fewer, fewer + 1))
