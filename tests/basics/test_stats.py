"""Intervals that reports and selectors share."""

import pytest

from dmtsearch.stats import wilson


def test_the_wilson_interval_by_hand():
    # 8 of 10, z = 1.96: middle (.8 + .19207) / 1.38415, half 1.96 / 1.38415 x sqrt(.0256).
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)
