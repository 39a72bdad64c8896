"""The bound of p at each look."""

import pytest

from dmtsearch.errors import UsageError
from dmtsearch.evidence import Looks, look_bound


def test_the_usual_looks_have_the_bound_of_a_second_implementation() -> None:
    # By 1,000,000 plans of numpy's means and deviations and scipy's t distribution: .01738.
    assert 2 * look_bound((5, 8, 12, 16), 0.025) == pytest.approx(0.0174, abs=3e-4)


def test_one_look_is_a_plain_test() -> None:
    assert look_bound((8,), 0.025) == 0.025


def test_each_plan_has_half_the_level_of_the_one_before() -> None:
    plans = [Looks.of_plan((6, 9), number) for number in (1, 2, 3)]
    assert [one.level for one in plans] == [0.025, 0.0125, 0.00625]
    assert plans[0].bound > plans[1].bound > plans[2].bound
    assert plans[0].confidence == 1 - 2 * plans[0].bound


def test_more_looks_have_a_smaller_bound() -> None:
    assert look_bound((5, 8), 0.025) > look_bound((5, 8, 12), 0.025)


@pytest.mark.parametrize("at", [(), (4, 8), (8, 8), (8, 5)])
def test_looks_that_no_plan_can_have_are_refused(at: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="numbers of replicates that rise, the first at least 5"):
        Looks.of_plan(at, 1)
