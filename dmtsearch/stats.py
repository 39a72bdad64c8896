"""Intervals and means that reports and selectors share; scipy is loaded at the first use."""

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


def expected_maximum(n: int) -> float:
    """Mean of the largest of `n` independent draws from a standard normal distribution.

    With F its distribution function, by parts from E[max] = integral of x d(F(x)^n):

        E[max] = integral over x > 0 of (1 - F(x)^n - F(-x)^n)

    Args:
        n: Draws, at least 1.

    References:
        H. A. Harter, "Expected values of normal order statistics", Biometrika 48, 1961, table 1:
        0.56419 for 2, 1.53875 for 10, 2.50759 for 100.
    """
    if n < 1:
        raise ValueError(f"the largest of {n} draws; n must be at least 1")
    from scipy.integrate import quad
    from scipy.special import ndtr

    value, _ = quad(lambda x: 1 - ndtr(x) ** n - ndtr(-x) ** n, 0, 12, epsabs=1e-12, limit=200)
    return float(value)
