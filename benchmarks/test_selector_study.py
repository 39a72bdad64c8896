"""What the selector study says, against numbers computed by hand."""

import csv
import io

import numpy as np
import pytest
from selector_study_csv import difference_table, study_table
from selector_study_figures import draw_study
from selector_study_numbers import (
    Cell,
    Difference,
    Place,
    Study,
    cell_of,
    conditions_of,
    differences,
    group_of,
    mean_cells,
    resampler,
    role_of,
    single_cells,
    t_interval,
)
from selector_study_page import Made, write_page
from selector_study_reading import join_seeds
from selector_study_words import compare, expectation, mean_of, trend, with_interval

from dmtsearch.errors import UsageError

PLACES = (
    Place(None, None, (), "none"),
    Place("noise", 0.5, ("a",), "seen"),
    Place("noise", 0.5, ("b",), "seen"),
    Place("noise", 0.5, ("a", "b"), "seen"),
    Place("noise", 1.0, ("a",), "seen"),
    Place("noise", 1.0, ("b",), "seen"),
    Place("noise", 1.0, ("a", "b"), "seen"),
    Place("blur", 1.0, ("a",), "unseen"),
)
METHODS = ("selector", "only_a", "sum_rule", "oracle")
NAN = float("nan")
ANYWHERE = Cell("seen", None, None, "one", (1,))


def sweep_row(place, shares):
    """A condition as `evaluate` tells it, with one accuracy a method; n = 4."""
    alone = len(place.degraded) == 1
    rows = {
        name: {
            "accuracy": share,
            "selection_accuracy": 0.75 if alone and name == "selector" else None,
            "decisive_accuracy": 0.5 if name == "selector" else None,
            "decisive_n": 2 if name == "selector" else None,
        }
        for name, share in shares.items()
    }
    where = {"kind": place.kind, "severity": place.severity, "degraded": list(place.degraded)}
    return {**where, **rows["selector"], "methods": {n: rows[n] for n in METHODS[1:]}}


def one_seed(seed, right):
    """What a seed leaves; `right` [M, C, N]."""
    shares = right.mean(axis=-1)
    sweep = [
        sweep_row(place, dict(zip(METHODS, shares[:, number].tolist(), strict=True)))
        for number, place in enumerate(PLACES)
    ]
    facts = {
        "seed": seed,
        "stage_keys": [f"{seed}x", f"{seed}y"],
        "trained_on": ["noise"],
        "evaluation": {"sweep": sweep, "missing": {}},
        "splits": {"train": 8, "test": 4},
        "params": 10,
        "macs": 20,
        "stage_s": 1.0,
        "device": "cpu",
        "commit": "abc",
        "versions": {"torch": "0"},
    }
    return facts, {**dict(zip(METHODS, right, strict=True)), "index": np.arange(4)}


def made_seeds():
    """Two seeds: the selector is right on 4 and 3 of 4 samples, `only_a` on 2 and 2."""
    first = np.zeros((4, len(PLACES), 4), dtype=bool)
    first[[0, 3]] = True
    first[1, :, :2] = True
    second = first.copy()
    second[0, :, 3] = False
    return [one_seed(100, first), one_seed(101, second)]


def made_study():
    return join_seeds(*zip(*made_seeds(), strict=True))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param(None, "none", id="nothing degraded"),
        pytest.param("noise", "seen", id="trained on"),
        pytest.param("occlusion_block", "part", id="half of a kind trained on"),
        pytest.param("blur", "unseen", id="never met"),
    ],
)
def test_kinds_fall_into_groups_by_what_was_trained_on(kind, expected):
    assert group_of(kind, ["noise", "occlusion"]) == expected


def test_a_part_of_a_kind_that_was_not_trained_on_is_unseen():
    assert group_of("occlusion_block", ["noise"]) == "unseen"


def test_methods_have_the_roles_of_the_issue():
    names = ("only_iris", "margin", "stacking", "oracle", "selector")
    expected = ["modality", "selection rule", "fusion rule", "bound", "selector"]
    assert [role_of(name) for name in names] == expected


def test_conditions_are_named_and_the_mean_over_one_degraded_stands_before_both():
    assert conditions_of(PLACES) == ["none", "a", "b", "one", "both"]


def test_cells_take_every_condition_that_fits_and_no_other():
    assert cell_of(PLACES, "seen", "one").places == (1, 2, 4, 5)
    assert cell_of(PLACES, "seen", "one", severity=1.0).places == (4, 5)
    assert cell_of(PLACES, "seen", "both", kind="noise").places == (3, 6)
    assert cell_of(PLACES, "unseen", "both").places == ()


def test_no_mean_is_taken_over_nothing():
    assert all(cell.places for cell in mean_cells(PLACES))


def test_the_t_interval_of_three_seeds_is_by_hand():
    # Mean 2, sd 1, t(.975, 2) = 4.30265: 2 -+ 4.30265 / sqrt(3) = 2 -+ 2.48414.
    assert t_interval(np.array([1.0, 2.0, 3.0])) == pytest.approx((-0.48414, 4.48414), abs=1e-5)


def test_one_seed_has_no_interval():
    assert t_interval(np.array([1.0])) is None
    assert resampler(1, 4)(np.ones((1, 4))) is None


def test_resampling_two_seeds_of_opposite_sign_reaches_from_one_to_the_other():
    # Both draws fall on the first seed, or on the second, with chance 1/4 each: more than 2.5 %.
    assert resampler(2, 1)(np.array([[1.0], [-1.0]])) == (-1.0, 1.0)


def test_resampling_draws_samples_too_and_the_same_ones_for_all_seeds():
    # Two samples, +1 and -1, alike in both seeds: only the draw of samples matters, and both
    # fall on one of them with chance 1/4. Drawn for each seed by itself, the chance of -1
    # would be 1/16.
    found = resampler(2, 2)(np.array([[1.0, -1.0], [1.0, -1.0]]))
    assert found == (-1.0, 1.0)


def test_resampling_equal_differences_has_no_width():
    assert resampler(3, 5)(np.full((3, 5), 0.25)) == pytest.approx((0.25, 0.25))


def test_differences_are_paired_by_seed():
    (found,) = [
        d for d in differences(made_study(), [ANYWHERE], resampler(2, 4)) if d.method == "only_a"
    ]
    # Seeds: 4/4 - 2/4 = .5 and 3/4 - 2/4 = .25. Mean .375, sd .17678, t(.975, 1) = 12.7062:
    # .375 -+ 12.7062 * .17678 / sqrt(2) = .375 -+ 1.58828.
    assert found.mean == pytest.approx(0.375)
    assert found.over_seeds == pytest.approx((-1.21328, 1.96328), abs=1e-5)
    assert (found.num_seeds, found.num_samples) == (2, 4)


def test_a_mean_over_conditions_gives_each_the_same_weight():
    # Right on 4 of 4 in one condition and on 2 of 4 in another: .75.
    right = np.ones((1, 1, 2, 4), dtype=bool)
    right[0, 0, 1, :2] = False
    none = np.full((1, 1, 2), NAN)
    study = Study((1,), ("selector",), PLACES[1:3], right, none, none, np.zeros((1, 1, 2), int))
    cell = cell_of(study.places, "seen", "one")
    assert study.accuracy("selector", cell).tolist() == [0.75]


def test_decisive_accuracy_is_pooled_over_its_samples():
    # 1 of 2 and 3 of 8: 4 of 10, not the mean of .5 and .375.
    decisive, n = np.array([[[0.5, 0.375]]]), np.array([[[2, 8]]])
    right = np.ones((1, 1, 2, 8), dtype=bool)
    study = Study((1,), ("selector",), PLACES[1:3], right, decisive, decisive, n)
    cell = cell_of(study.places, "seen", "one")
    assert study.decided("selector", cell) == pytest.approx([0.4])


def difference(method, mean, seeds, both):
    return Difference(ANYWHERE, method, mean, seeds, both, 5, 360)


ABOVE = difference("margin", 0.031, (0.01, 0.052), (0.02, 0.04))
OPEN = difference("energy", 0.02, (0.01, 0.03), (-0.001, 0.04))
BELOW = difference("only_a", -0.1, (-0.2, -0.05), (-0.12, -0.08))


def test_a_difference_is_above_or_below_only_where_both_intervals_say_so():
    assert [one.verdict for one in (ABOVE, OPEN, BELOW)] == ["above", "open", "below"]


def test_one_seed_decides_nothing():
    assert difference("margin", 0.5, None, None).verdict == "open"


def test_the_comparison_names_every_method_with_its_difference():
    expected = "above margin +3.1; below only_a -10.0; not told apart from energy +2.0"
    assert compare([ABOVE, OPEN, BELOW]) == expected


def test_what_was_expected_is_counted_and_not_smoothed_over():
    assert expectation([ABOVE, ABOVE]) == "Yes: above all 2."
    assert expectation([ABOVE, OPEN, BELOW]) == "No: above 1 of 3, below 1, 1 open."


@pytest.mark.parametrize(
    ("high", "expected"),
    [
        # Changes .1 and .1: no width. Changes .1 and -.1: mean 0, sd .14142, half 1.27062.
        pytest.param([0.6, 0.7], "better with severity: +10.0 (+10.0 to +10.0) points", id="up"),
        pytest.param([0.4, 0.5], "worse with severity: -10.0 (-10.0 to -10.0) points", id="down"),
        pytest.param(
            [0.6, 0.5],
            "no change that these seeds can tell: +0.0 (-127.1 to +127.1) points",
            id="open",
        ),
    ],
)
def test_a_trend_is_told_by_its_interval(high, expected):
    assert trend(np.array([0.5, 0.6]), np.array(high)) == expected


def test_numbers_are_written_in_points_and_percent():
    assert with_interval(-0.0001, (-0.02, 0.0198)) == "+0.0 (-2.0 to +2.0)"
    # .9 -+ 12.7062 * .141421 / sqrt(2) = .9 -+ 1.27: no share lies outside 0 and 1.
    assert mean_of(np.array([0.8, 1.0])) == "90.0 (0.0 to 100.0)"
    assert mean_of(np.array([NAN, 1.0])) == "-"


def test_seeds_that_share_a_stage_are_refused():
    (first, one), (second, other) = made_seeds()
    second["stage_keys"][0] = first["stage_keys"][0]
    with pytest.raises(UsageError, match="same with two seeds: does it have a `seed`"):
        join_seeds([first, second], [one, other])


def test_seeds_scored_on_other_samples_are_refused():
    (first, one), (second, other) = made_seeds()
    with pytest.raises(UsageError, match="scored on other samples"):
        join_seeds([first, second], [one, {**other, "index": np.arange(1, 5)}])


def test_answers_that_differ_from_the_scores_are_refused():
    facts, answers = made_seeds()[0]
    flipped = {**answers, "only_a": ~answers["only_a"] | True}
    with pytest.raises(UsageError, match="differ from the scores"):
        join_seeds([facts], [flipped])


def test_the_table_has_a_row_for_each_seed_condition_and_method():
    rows = list(csv.DictReader(io.StringIO(study_table(made_study()))))
    assert len(rows) == 2 * len(PLACES) * len(METHODS)
    (found,) = [
        r
        for r in rows
        if (r["seed"], r["kind"], r["severity"]) == ("101", "noise", "0.5")
        and (r["condition"], r["method"]) == ("a", "selector")
    ]
    # The oracle is right on all 4, the selector on 3.
    assert (found["seen"], found["accuracy"], found["regret"]) == ("seen", "0.75", "0.25")
    assert (found["selection_accuracy"], found["decisive_accuracy"]) == ("0.75", "0.5")
    assert (found["decisive_n"], found["n"]) == ("2", "4")


def test_methods_that_believe_none_have_empty_cells():
    rows = csv.DictReader(io.StringIO(study_table(made_study())))
    fused = [row for row in rows if row["method"] == "sum_rule"]
    columns = ("selection_accuracy", "decisive_accuracy", "decisive_n")
    assert {row[name] for row in fused for name in columns} == {""}


def test_the_differences_hold_both_intervals():
    (row,) = csv.DictReader(io.StringIO(difference_table([ABOVE])))
    assert (row["selector_minus_method"], row["verdict"]) == ("0.031", "above")
    ends = [row[name] for name in ("seeds_low", "seeds_high", "both_low", "both_high")]
    assert ends == ["0.01", "0.052", "0.02", "0.04"]


def test_the_page_says_how_it_was_made_and_what_was_found():
    study, facts = made_study(), [one for one, _ in made_seeds()]
    means = differences(study, mean_cells(study.places), resampler(2, 4))
    made = Made("a.yaml", "python benchmarks/selector_study.py", "Chosen by val.", 2)
    page = write_page(study, means, facts, made, draw_study(study, means))
    assert "2 seeds (100, 101)" in page
    assert "(n = 4, the same samples for all seeds)" in page
    assert "Chosen by val." in page
    assert "Openings of the test split: 2, over 2 bundles" in page
    # 4 and 3 of 4 against 2 and 2: two seeds cannot tell.
    assert "the mean over which: **No: above 0 of 1, below 0, 1 open.**" in page
    assert "| only_a (modality) | +37.5 (-121.3 to +196.3) |" in page


def test_every_condition_has_a_cell_of_its_own():
    assert [cell.places for cell in single_cells(PLACES)] == [(n,) for n in range(len(PLACES))]
