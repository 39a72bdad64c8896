"""What a report says of a selector, as data: means, choices and the order of trials, by hand."""

import pytest
from made_run import MadeRun
from made_search import try_weight
from made_selector import (
    SPACE,
    THREE,
    condition,
    made_sweep,
    method,
    selector_run,
    sweep_of,
    try_selector,
)

from dmtsearch.reporting import (
    SelectorResults,
    answer,
    best_of,
    build_words,
    family,
    minus_words,
    read_run,
    summarize,
)
from dmtsearch.stats import wilson


def others(oracle, *, only_a, energy, sum_rule, selection=None):
    return {
        "only_iris": method(only_a, selection),
        "energy": method(energy, selection),
        "sum_rule": method(sum_rule, fuses=True),
        "oracle": method(oracle),
    }


ROWS = [
    condition(None, None, (), method(0.9), others(1.0, only_a=0.8, energy=0.8, sum_rule=0.95)),
    condition("noise", 0.5, ("iris",), method(0.8, 0.75),
              others(0.9, only_a=0.6, energy=0.7, sum_rule=0.6, selection=0.5)),
    condition("noise", 1.0, ("iris",), method(0.6, 0.95),
              others(0.8, only_a=0.3, energy=0.5, sum_rule=0.4, selection=0.5)),
    condition("noise", 1.0, ("iris", "periocular"), method(0.1),
              others(0.2, only_a=0.1, energy=0.1, sum_rule=0.25)),
    condition("blur", 1.0, ("iris",), method(0.5, 0.5), seen=False,
              others=others(0.5, only_a=0.5, energy=0.5, sum_rule=0.5, selection=0.5)),
]  # fmt: skip


def gathered(tmp_path, sweep, **more) -> SelectorResults:
    run = selector_run(tmp_path / "run", **more)
    try_selector(run, 0.6, sweep)
    return summarize(read_run(run.stop())).selector


def test_means_are_over_the_seen_conditions_by_what_is_degraded(tmp_path):
    found = gathered(tmp_path, sweep_of(ROWS))
    assert [(g.degraded, g.conditions, g.n) for g in found.groups] == [
        (None, 4, 200), ((), 1, 200), (("iris",), 2, 200), (("iris", "periocular"), 1, 200),
    ]  # fmt: skip
    own = [group.scores["selector"].accuracy for group in found.groups]
    # By hand: (.9 + .8 + .6 + .1) / 4 = .6; blur was not trained on and is in none.
    assert own == pytest.approx([0.6, 0.9, 0.7, 0.1])
    assert len(found.conditions) == 5


def test_selection_decisive_and_regret_by_hand(tmp_path):
    sweep, _, iris, both = gathered(tmp_path, sweep_of(ROWS)).groups
    own, fused = iris.scores["selector"], iris.scores["sum_rule"]
    assert own.selection == pytest.approx(0.85)  # .75 and .95
    # 100 decisive samples each, of which 80 and 60 right.
    assert (own.decisive, own.decisive_n) == (pytest.approx(0.7), 200)
    assert own.regret == pytest.approx(0.15)  # (.9 - .8 + .8 - .6) / 2
    assert (fused.selection, fused.decisive, fused.decisive_n) == (None, None, None)
    # A fusion rule may pass the oracle selector: .2 - .25.
    assert both.scores["sum_rule"].regret == pytest.approx(-0.05)
    assert both.scores["selector"].selection is None
    assert sweep.scores["selector"].selection == pytest.approx(0.85)


def test_choices_are_counted_over_kinds_and_severities(tmp_path):
    iris = gathered(tmp_path, sweep_of(ROWS)).groups[2]
    # Of 200 samples each, 75 % and 95 % select periocular: 150 + 190.
    assert iris.believed == {"iris": 60, "periocular": 340}


def test_paired_differences_come_from_the_ledger(tmp_path):
    found = gathered(tmp_path, sweep_of(ROWS))
    energy = found.groups[0].scores["energy"]
    # .6 - (.8 + .7 + .5 + .1) / 4, and the made-up two points each way.
    assert energy.minus == pytest.approx((0.075, 0.055, 0.095))
    assert minus_words(energy) == "+7.50 (+5.5 to +9.5)"
    assert found.groups[0].scores["selector"].minus is None


def test_a_ledger_without_differences_has_intervals_of_the_whole_sweep_alone(tmp_path):
    found = gathered(tmp_path, sweep_of(ROWS, groups=False))
    sweep, clean, iris, _ = (group.scores["energy"] for group in found.groups)
    assert sweep.minus is iris.minus is iris.interval is None
    assert sweep.interval == pytest.approx((0.525 - 0.04, 0.525 + 0.04))
    # One condition is a plain share of 200 samples.
    assert clean.interval == wilson(160, 200)


def rows_with(own, **rules):
    """Nothing degraded (every method right on all), and one condition with iris degraded."""
    every = {"only_iris": 1.0, "max_softmax": 1.0, "sum_rule": 1.0, "oracle": 1.0}
    return sweep_of(
        [
            condition(None, None, (), method(1.0), {n: method(v) for n, v in every.items()}),
            condition("noise", 1.0, ("iris",), method(own),
                      {n: method(rules.get(n, 0.5)) for n in every}),
        ]
    )  # fmt: skip


def test_a_search_of_selectors_is_compared_with_rules_and_with_what_is_best_by_a_rule(tmp_path):
    run = selector_run(tmp_path / "run")
    try_selector(run, 0.8, rows_with(0.8, max_softmax=0.6, only_iris=0.3), inputs="topk")
    try_selector(run, 0.7, rows_with(0.6, max_softmax=0.7, sum_rule=0.9), inputs="moments")
    summary = summarize(read_run(run.stop()))
    found = summary.selector.comparison
    # By hand, halfway between 1 and what is degraded.
    assert (found.best.trial, found.best.accuracy) == (0, 0.9)
    assert (found.rule.method, found.rule.accuracy) == ("max_softmax", 0.8)
    assert (found.modality.method, found.modality.accuracy) == ("only_iris", 0.65)
    by = {rule: (one.trial, one.accuracy) for rule, one in found.best_by.items()}
    assert by == {"max_softmax": (1, 0.85), "sum_rule": (1, 0.95)}
    assert (
        "on the same outputs the best rule, max-softmax, has 80.00 % (the selector +10.00 points) "
        "and the best single modality, iris alone, has 65.00 % (the selector +25.00 points); of "
        "all trials by max-softmax trial 1 is best with 85.00 % (the selector +5.00 points) and "
        "by sum rule trial 1 is best with 95.00 % (the selector -5.00 points)."
    ) in answer(summary)


def test_methods_have_families_and_the_first_of_equals_is_the_best(tmp_path):
    sweep = gathered(tmp_path, made_sweep()).groups[0]
    assert [family(name, sweep) for name in ("selector", "only_iris", "energy", "stacking")] == [
        "selector", "modality", "selection", "fusion",
    ]  # fmt: skip
    assert best_of("selection", sweep) == "max_softmax"
    assert best_of("fusion", sweep) == "sum_rule"
    assert best_of("nothing", sweep) is None


def test_trials_stand_best_first_and_at_most_ten(tmp_path):
    run = selector_run(tmp_path / "run")
    hidden = {"small": (16,), "linear": (), "deep": (32, 16)}
    values = [(i, h) for i in ("topk", "posterior", "logits", "moments") for h in hidden]
    for number, (inputs, size) in enumerate(values):
        try_selector(run, 0.5 + 0.01 * number, made_sweep(), inputs=inputs, hidden=size)
    found = summarize(read_run(run.stop())).selector
    assert [one.trial for one in found.trials] == list(range(11, 1, -1))
    assert (found.trial, found.finished) == (11, 12)
    best, last = found.trials[0].architecture, found.trials[-1].architecture
    assert (best.inputs, best.k, best.hidden, best.target) == ("moments", None, (32, 16),
                                                               "undegraded")  # fmt: skip
    assert (last.inputs, last.k, last.hidden, last.decision) == ("topk", 5, (32, 16), "hard")
    assert found.trials[0].regret == pytest.approx(0.95 - 0.61)


def test_what_a_selector_is_in_words(tmp_path):
    words = build_words(gathered(tmp_path, made_sweep()).architecture)
    assert words == (
        "reads the 5 largest class probabilities of each of iris and periocular, has a hidden "
        "layer of 16 units, and lets the selected modality decide alone (hard). It was trained "
        "to predict which modality is not degraded, on samples degraded by noise and occlusion."
    )


def test_three_modalities_keep_their_order(tmp_path):
    sweep = made_sweep(("iris", "periocular", "voice"))
    found = gathered(tmp_path, sweep, text=THREE)
    assert found.modalities == ("iris", "periocular", "voice")
    assert [group.degraded for group in found.groups[2:]] == [
        ("iris",), ("periocular",), ("voice",), ("iris", "periocular", "voice"),
    ]  # fmt: skip


def test_a_best_trial_without_a_selector_has_none(tiny):
    run: MadeRun = tiny()
    try_weight(run, 0.3, 0.8)
    assert summarize(read_run(run.stop())).selector is None


def test_a_search_of_selectors_in_which_nothing_finished_has_none(tmp_path):
    run = selector_run(tmp_path / "run", text=SPACE)
    values = dict(run.space.sample(seed=0))
    trial = run.propose("search", run.space.fill(values), values)
    run.end(trial, "failed", stage="selector", reason="no space left on device", epochs=0)
    assert summarize(read_run(run.stop())).selector is None
