"""Learning curves by stage, and the runs that no other matches in accuracy and weight."""

from made_search import control, try_weight

from dmtsearch.reporting import (
    Point,
    best_trial,
    draw_points,
    front_of,
    gather_curves,
    read_run,
    summarize,
)


def test_controls_stand_beside_the_delivered_stage_only(tiny):
    run = tiny()
    control(run, "fitnet", 0, 0.82)
    try_weight(run, 0.3, 0.80)
    record = read_run(run.stop())
    teacher, student = gather_curves(record, best_trial(record))
    assert (teacher.stage, teacher.delivered, len(teacher.curves)) == ("teacher", False, 1)
    assert [curve.label for curve in student.curves] == ["best", "fitnet, seed 0"]
    assert student.n == 10_000


def test_hint_epochs_are_counted_and_are_no_points(tiny):
    run = tiny()
    trial = control(run, "fitnet", 0, 0.82)
    try_weight(run, 0.3, 0.80)
    record = read_run(run.stop())
    fitnet = gather_curves(record, best_trial(record))[1].curves[1]
    # Five hint epochs come before the ten with labels and soft targets.
    assert (fitnet.trial, fitnet.hint_epochs) == (trial.trial, 5)
    assert fitnet.epochs == tuple(range(1, 11))
    rows = record.stages[trial.stages[-1].key].history
    assert len(rows) == 15
    assert fitnet.values == tuple(row["val_accuracy"] for row in rows[5:])


def test_without_a_best_trial_there_are_no_curves(tiny):
    assert gather_curves(read_run(tiny().stop()), None) == ()


def test_controls_take_part_in_the_front_of_a_figure():
    points = [
        Point(0, "scratch", 0.80, params=100, cold_cost=10),
        Point(1, "search", 0.85, params=100, cold_cost=30),
        Point(2, "search", 0.79, params=100, cold_cost=20),  # dearer than 0, less accurate
        Point(3, "search", 0.83, params=50, cold_cost=40),
    ]
    assert [point.trial for point in front_of(points, "cold_cost")] == [0, 1]
    assert [point.trial for point in front_of(points, "params")] == [3, 1]


def test_a_figure_against_what_is_the_same_for_all_is_not_drawn(tiny):
    run = tiny()
    control(run, "direct", 0, 0.82)
    try_weight(run, 0.3, 0.80)
    summary = summarize(read_run(run.stop()))
    assert draw_points(summary.points, "params") is None
    # The control has half the search's epochs, so it costs less; nothing is as accurate.
    assert "The Pareto set is trial 0 (direct)." in draw_points(summary.points, "cold_cost").alt
