"""The noise ruler, and what the best of N equal trials would show."""

import math

import pytest

from dmtsearch.reporting.noise import best_of_equal, estimate_noise, spread


def test_best_of_two_equal_trials_by_hand():
    found = best_of_equal(2, mean=0.8, sd=0.01, direction="max")
    # The mean of the larger of two: 0.8 + 0.01 x 0.5642. Under q with chance F(q)^2 = 0.95:
    # F(q) = 0.97468, q = 1.9545.
    assert found.expected == pytest.approx(0.805642, abs=1e-6)
    assert found.extreme == pytest.approx(0.819545, abs=1e-6)


def test_the_best_of_an_objective_to_minimise_lies_below():
    low = best_of_equal(10, mean=5.0, sd=1.0, direction="min")
    high = best_of_equal(10, mean=5.0, sd=1.0, direction="max")
    assert low.expected == pytest.approx(10 - high.expected)
    assert low.extreme == pytest.approx(10 - high.extreme)
    assert low.expected == pytest.approx(5 - 1.53875, abs=5e-6)


def test_spread_by_hand():
    found = spread([2.0, 4.0, 9.0])
    # Mean 5; squares 9 + 1 + 16 = 26; sd = sqrt(26 / 2) = sqrt 13.
    assert (found.n, found.mean, found.low, found.high) == (3, 5.0, 2.0, 9.0)
    assert found.sd == pytest.approx(math.sqrt(13))


def test_a_single_run_has_no_spread():
    assert spread([0.5]).sd is None
    assert spread([]) is None


def test_the_ruler_pools_within_arms():
    runs = {
        "scratch": [(0, 0.80), (1, 0.82), (2, 0.84)],
        "direct": [(0, 0.90), (1, 0.90), (2, 0.93)],
        "fitnet": [(0, 0.50), (1, 0.99)],
    }
    ruler = estimate_noise(runs)
    # scratch: squares .0004 + 0 + .0004 = .0008; direct: mean .91, .0001 + .0001 + .0004 = .0006.
    # Pooled variance .0014 / 4; fitnet is no part of the ruler.
    assert ruler.sd == pytest.approx(math.sqrt(0.0014 / 4))
    assert (ruler.degrees, ruler.n) == (4, 6)
    assert ruler.level_arm == "direct"
    assert ruler.level == pytest.approx(0.91)
    assert ruler.seeds == {"direct": (0, 1, 2), "scratch": (0, 1, 2)}
    assert ruler.uncertainty == pytest.approx(1 / math.sqrt(8))


def test_an_arm_with_one_finished_seed_is_no_ruler():
    ruler = estimate_noise({"direct": [(0, 0.9)], "scratch": [(0, 0.8), (1, 0.81)]})
    assert list(ruler.arms) == ["scratch"]
    assert ruler.level_arm == "scratch"
    assert estimate_noise({"direct": [(0, 0.9)]}) is None
    assert estimate_noise({}) is None
