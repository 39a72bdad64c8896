"""Whole confirmations, drawn 2,000 times each, decided by the functions that `confirm` calls."""

from collections.abc import Iterator

import numpy as np
import pytest

from dmtsearch.evidence import Looks, Verdict, decide, power

RUNS = 2000
PLANS = ((5, 8, 12, 16), (20, 24, 28), (32, 36, 40))
CONTROLS = ("scratch_long", "direct_long", "best_direct")


def drawn(
    sd: float, correlation: float, true: tuple[float, ...]
) -> Iterator[dict[str, list[float]]]:
    """Differences of paired arms whose accuracies are correlated; `sd` of each difference."""
    draws = np.random.default_rng(7)
    n = PLANS[-1][-1]
    own = sd / np.sqrt(2)
    shared = own * np.sqrt(correlation / (1 - correlation))
    for _ in range(RUNS):
        replicate = shared * draws.standard_normal(n)
        chosen = replicate + own * draws.standard_normal(n)
        yield {
            name: list(chosen - (replicate + own * draws.standard_normal(n)) + gain)
            for name, gain in zip(CONTROLS, true, strict=True)
        }


def claims(differences: dict[str, list[float]], *, stubborn: bool) -> bool:
    """Whether any look of any plan says BEATS; the stubborn go on after futility, and extend."""
    for number, at in enumerate(PLANS, 1):
        looks = Looks.of_plan(at, number)
        for n in at:
            found = decide({name: d[:n] for name, d in differences.items()}, looks)
            if found.verdict is Verdict.BEATS:
                return True
            if found.futile and not stubborn:
                return False
        if not stubborn:
            return False
    return False


@pytest.mark.parametrize("sd", [0.003, 0.006])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95])
def test_a_schedule_as_good_as_one_control_is_rarely_said_to_win(
    sd: float, correlation: float
) -> None:
    # The least favourable case: far better than two controls, no better than the third.
    runs = list(drawn(sd, correlation, (0.05, 0.05, 0.0)))
    as_planned = sum(claims(one, stubborn=False) for one in runs) / RUNS
    with_extensions = sum(claims(one, stubborn=True) for one in runs) / RUNS
    assert as_planned <= 0.025 + 3 * (0.025 * 0.975 / RUNS) ** 0.5
    assert with_extensions <= 0.05


def test_a_true_gain_is_found_with_few_trainings() -> None:
    looks = Looks.of_plan(PLANS[0], 1)
    arms = 1 + len(CONTROLS)
    choosing = 3 * 3  # three candidates on three seeds
    gain = power(looks, difference=0.005, sd=0.003, plans=RUNS)
    assert gain.wins >= 0.85
    assert choosing + arms * gain.replicates <= 45
    null = power(looks, difference=0.0, sd=0.003, plans=RUNS)
    assert choosing + arms * null.replicates <= 32
