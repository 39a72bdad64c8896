"""How repeated runs of one thing lie apart."""

import math

import pytest

from dmtsearch.reporting import spread


def test_spread_by_hand():
    found = spread([2.0, 4.0, 9.0])
    # Mean 5; squares 9 + 1 + 16 = 26; sd = sqrt(26 / 2) = sqrt 13.
    assert (found.n, found.mean, found.low, found.high) == (3, 5.0, 2.0, 9.0)
    assert found.sd == pytest.approx(math.sqrt(13))


def test_a_single_run_has_no_spread():
    assert spread([0.5]).sd is None
    assert spread([]) is None
