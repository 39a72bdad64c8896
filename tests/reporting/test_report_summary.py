"""What a run has found, as data: numbers by hand, and agreement with `summary.json`."""

import pytest
from made_run import requests
from made_search import arm_schedule, control, try_weight

from dmtsearch.engine import RunPaths, read_state, summarise
from dmtsearch.reporting import pareto_set, read_run, summarize
from dmtsearch.schedule import expand


def test_the_best_trial_is_the_earliest_of_the_highest(tiny):
    run = tiny()
    for weight, accuracy in ((0.3, 0.80), (0.6, 0.90), (0.9, 0.90)):
        try_weight(run, weight, accuracy)
    best = summarize(read_run(run.stop())).best
    assert (best.trial, best.value) == (1, 0.90)
    assert best.values == {"student.soft.weight": 0.6}
    assert best.params == 52_430


def test_an_objective_to_minimise_has_its_best_at_the_bottom(tiny):
    run = tiny(val_nll="min")
    for weight, accuracy in ((0.3, 0.90), (0.6, 0.80)):
        try_weight(run, weight, accuracy)
    summary = summarize(read_run(run.stop()))
    # The made-up NLL is 3.2 x (1 - accuracy).
    assert summary.main == "val_nll"
    assert summary.best.trial == 0
    assert summary.best.value == pytest.approx(0.32)


def test_of_several_objectives_the_most_accurate_trial_is_the_best(tiny):
    run = tiny(cold_cost="min", val_nll="min")
    for weight, accuracy in ((0.3, 0.80), (0.6, 0.85)):
        try_weight(run, weight, accuracy)
    summary = summarize(read_run(run.stop()))
    assert (summary.main, summary.direction) == ("val_accuracy", "max")
    assert summary.best.trial == 1


def test_a_control_arm_is_never_the_best(tiny):
    run = tiny()
    control(run, "direct", 0, 0.99)
    try_weight(run, 0.3, 0.80)
    assert summarize(read_run(run.stop())).best.trial == 1


@pytest.fixture(scope="module")
def full_summary(full_run):
    return summarize(read_run(full_run))


def test_the_report_and_summary_json_agree(full_run, full_summary):
    mine = full_summary
    theirs = summarise(read_state(RunPaths(full_run).ledger))
    assert mine.best.trial == theirs["best"]["trial"]
    assert mine.states == {
        state: theirs["trials"][state] for state in ("done", "pruned", "failed", "unfinished")
    }
    sharing = theirs["sharing"]
    for what in ("stages", "epochs", "cost"):
        saved = getattr(mine.sharing, what)
        assert (saved.asked, saved.run) == (
            sharing[f"{what}_requested"],
            sharing[f"{what}_run"],
        ), what


def test_steps_follow_the_order_of_the_ends(tiny):
    run = tiny()
    for weight, accuracy in ((0.3, 0.88), (0.6, 0.80), (0.9, 0.90)):
        try_weight(run, weight, accuracy)
    summary = summarize(read_run(run.stop()))
    assert [step.best for step in summary.steps] == [0.88, 0.88, 0.90]


def test_arms_with_n_seeds_and_cost(tiny):
    run = tiny()
    for seed, accuracy in enumerate((0.84, 0.86)):
        control(run, "scratch", seed, accuracy)
    failed = run.propose("scratch", arm_schedule("scratch"), {}, 2)
    run.end(failed, "failed", stage="student", reason="out of memory")
    arm = summarize(read_run(run.stop())).arms[0]
    assert (arm.name, arm.asked, arm.spread.n, arm.seeds) == ("scratch", 3, 2, (0, 1))
    assert arm.spread.mean == pytest.approx(0.85)
    # 6,000 samples, 10 epochs, 3 x 471,870 MACs.
    assert arm.cold_cost == (84_936_600_000, 84_936_600_000)


def test_sharing_by_hand(tiny):
    run = tiny()
    try_weight(run, 0.3, 0.80)
    try_weight(run, 0.6, 0.81)
    sharing = summarize(read_run(run.stop())).sharing
    # Two trials request a teacher and a student each, 20 epochs a stage; the teacher is one.
    stages, epochs = sharing.stages, sharing.epochs
    assert (stages.asked, stages.run, stages.shared, stages.store, stages.left_out) == (
        *(4, 3, 1),
        *(0, 0),
    )
    assert (epochs.asked, epochs.run, epochs.shared) == (80, 60, 20)
    teacher = 6000 * 3 * 9 * 327_674 * 20
    assert sharing.cost.shared == teacher
    assert sharing.cost.asked - sharing.cost.run == teacher
    assert sharing.distinct == 3


def test_what_a_prune_left_out_is_not_called_shared(tiny):
    run = tiny()
    values = {"student.soft.weight": 0.3}
    trial = run.propose("search", run.space.fill(values), values)
    run.stage(trial.stages[0], trial.trial, 0.9, status="store")
    run.end(trial, "pruned", stage="student", reason="under the median", epochs=5)
    summary = summarize(read_run(run.stop()))
    epochs = summary.sharing.epochs
    assert (epochs.asked, epochs.run, epochs.store, epochs.left_out) == (40, 0, 20, 20)
    assert summary.failures.pruned_epochs == (5, 20)
    assert summary.best is None


def test_the_time_to_train_counts_stages_that_the_store_had(tiny):
    run = tiny()
    values = {"student.soft.weight": 0.3}
    trial = run.propose("search", run.space.fill(values), values)
    first, last = trial.stages
    run.stage(first, trial.trial, 0.9, status="store", trained_seconds=70.0)
    run.stage(last, trial.trial, 0.9, seconds=20.0, trained_seconds=0.0)  # of an older version
    run.end(trial, "done", 0.9)
    summary = summarize(read_run(run.stop()))
    assert summary.recommended.seconds == pytest.approx(90)
    assert summary.effort.stage_seconds == pytest.approx(20)


def test_parts_of_what_was_asked_add_up(full_summary):
    sharing = full_summary.sharing
    for saved in (sharing.stages, sharing.epochs, sharing.cost):
        assert saved.run + saved.shared + saved.store + saved.left_out == saved.asked


def test_the_pareto_set_by_hand():
    values = {
        0: {"accuracy": 0.9, "cost": 5.0},
        1: {"accuracy": 0.8, "cost": 5.0},  # as dear as 0, less accurate
        2: {"accuracy": 0.7, "cost": 1.0},
        3: {"accuracy": 0.7, "cost": 1.0},  # equal to 2, and later
        4: {"accuracy": 0.6, "cost": 9.0},
    }
    assert pareto_set(values, {"accuracy": "max", "cost": "min"}) == (0, 2)


def test_made_up_keys_follow_content():
    one, other = (requests(expand(arm_schedule(arm)), 0) for arm in ("direct", "fitnet"))
    assert one[0].key == other[0].key
    assert one[1].key != other[1].key
