"""From how many students of one first model on a schedule costs less than labels alone."""

import pytest

from dmtsearch.evidence import break_even, epochs_to_reach


@pytest.mark.parametrize(
    ("teacher", "student", "alone", "students"),
    [
        # Each student saves 40: two pay back 80 of the teacher's 100, three pay 120.
        pytest.param(100, 60, 100, 3, id="saves 40 a student"),
        # Two students pay back exactly 100: that is no less, the third makes it so.
        pytest.param(100, 50, 100, 3, id="exactly paid back is not yet less"),
        pytest.param(0, 50, 100, 1, id="a first model that is given"),
        pytest.param(10, 50, 100, 1, id="the first student pays"),
        pytest.param(100, 100, 100, None, id="saves nothing"),
        pytest.param(0, 120, 100, None, id="costs more with each student"),
    ],
)
def test_the_least_number_of_students_that_cost_less(teacher, student, alone, students):
    assert break_even(teacher, student, alone) == students
    if students is not None:
        assert teacher + students * student < students * alone
        assert teacher + (students - 1) * student >= (students - 1) * alone


def test_the_first_epoch_at_which_the_mean_of_the_curves_reaches_an_accuracy():
    # Means: 0.5, 0.625, 0.75; the second curve's fourth epoch has no partner.
    curves = [[0.5, 0.75, 0.75], [0.5, 0.5, 0.75, 1.0]]
    assert epochs_to_reach(curves, 0.5) == 1
    assert epochs_to_reach(curves, 0.6) == 2
    assert epochs_to_reach(curves, 0.75) == 3
    assert epochs_to_reach(curves, 0.9) is None
    assert epochs_to_reach([], 0.1) is None
