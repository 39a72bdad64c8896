"""What each hole does: groups with n, scatters, conditions."""

import pytest
from made_run import MadeRun
from made_search import try_weight

from dmtsearch.reporting import gather_holes, read_run
from dmtsearch.space import parse_space

CONDITIONAL = """\
dmtsearch: 1
name: conditional
data: {name: digits, val: 0.25}
stages:
  teacher: {model: {family: plain, widths: [32, 64], convs: 2}}
  student:
    source: teacher
    model: {family: plain, widths: [4, 8], convs: 2}
    merit: {choice: {none: none, delta: {rule: delta, increment: {float: [0.05, 0.3]}}}}
    optimizer: {name: adam, lr: {log: [0.0001, 0.1]}}
"""


def test_a_value_has_its_trials_mean_and_n(tiny):
    run = tiny()
    for weight, accuracy in ((0.9, 0.70), (0.3, 0.80), (0.9, 0.74), (0.3, 0.82), (0.3, 0.84)):
        try_weight(run, weight, accuracy)
    (effect,) = gather_holes(read_run(run.stop()))
    assert (effect.name, effect.kind, effect.n, effect.of) == (
        *("student.soft.weight", "groups"),
        *(5, 5),
    )
    # In the space's order, .6 left out since no trial has it.
    assert [group.value for group in effect.groups] == ["0.3", "0.9"]
    assert [group.spread.n for group in effect.groups] == [3, 2]
    assert [group.spread.mean for group in effect.groups] == pytest.approx([0.82, 0.72])
    assert effect.groups[0].trials == (1, 3, 4)


def test_a_conditional_hole_counts_only_where_it_is_active(tmp_path):
    run = MadeRun(tmp_path / "run", parse_space(CONDITIONAL, "space.yaml"))
    run.start(CONDITIONAL)
    fills = [
        {"student.merit": "none", "student.optimizer.lr": 0.001},
        {
            "student.merit": "delta",
            "student.merit[delta].increment": 0.1,
            "student.optimizer.lr": 0.01,
        },
    ]
    for values in fills:
        run.finish(run.propose("search", run.space.fill(values), values), 0.8)
    effects = {effect.name: effect for effect in gather_holes(read_run(run.stop()))}
    increment = effects["student.merit[delta].increment"]
    assert (increment.n, increment.of) == (1, 2)
    assert increment.when == "student.merit = delta"
    assert effects["student.merit"].when is None
    rate = effects["student.optimizer.lr"]
    assert (rate.kind, rate.log) == ("scatter", True)
    assert rate.points == ((0.001, 0.8, 0), (0.01, 0.8, 1))


def test_failed_and_pruned_trials_are_in_no_group(full_run):
    record = read_run(full_run)
    done = {trial.asked.trial for trial in record.search_trials("done")}
    for effect in gather_holes(record):
        assert effect.of == len(done) == 32
        shown = {trial for group in effect.groups for trial in group.trials}
        assert shown <= done
        assert effect.n == sum(group.spread.n for group in effect.groups) + len(effect.points)
