"""Intervals that reports and selectors share; scipy is loaded at the first use."""

from statistics import NormalDist

Z95 = NormalDist().inv_cdf(0.975)
"""Standard normal quantile of two-sided 95 % intervals."""


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share, (low, high) in [0, 1]; (0, 1) without samples.

    References:
        E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
    """
    if not n:
        return 0.0, 1.0
    from scipy.stats import binomtest

    found = binomtest(hits, n).proportion_ci(method="wilson")
    return float(found.low), float(found.high)
