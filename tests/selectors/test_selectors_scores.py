"""What a selector learns from and what it is scored on: draws, splits, sweeps, counts."""

import pytest
import torch
from select_pieces import run_of
from training_pieces import NoCheckpoints

from dmtsearch.data import degrade
from dmtsearch.schedule import Degrade
from dmtsearch.selectors import (
    DRAWS,
    SEVERITIES,
    average,
    count_oracle,
    count_sweep,
    draw_outputs,
)
from dmtsearch.training import go_on

# -- draws ----------------------------------------------------------------------------------------


def draws_of(bench, split, *, seed=0):
    ways = (Degrade("noise", (0.3, 1.0)),)
    run = run_of(bench)
    train = bench.data.split("train")
    return draw_outputs(run.classifiers, split, train, ways, run.profile, seed=seed)


def test_in_each_of_eight_draws_exactly_one_modality_is_degraded(kept):
    bench, _ = kept
    split = bench.data.split("selector")
    drawn = draws_of(bench, split)
    assert drawn.degraded.shape == (len(split), DRAWS) == (len(split), 8)
    share = drawn.degraded.double().mean()
    assert 0.4 < float(share) < 0.6
    logits, degraded, labels = drawn.rows()
    clean = drawn.clean.repeat(8, 1, 1)
    untouched = logits.eq(clean).all(dim=2)
    assert untouched.sum(1).tolist() == [1] * len(logits)
    assert (~untouched).int().argmax(1).equal(degraded)
    assert labels.equal(split.y.repeat(8))


def test_a_draw_depends_on_seed_and_sample_and_not_on_its_neighbours(kept):
    bench, _ = kept
    split = bench.data.split("selector")
    whole = draws_of(bench, split)
    some = draws_of(bench, split.take(torch.arange(10, 20)))
    assert some.degraded.equal(whole.degraded[10:20])
    torch.testing.assert_close(some.degraded_logits, whole.degraded_logits[10:20])
    other = draws_of(bench, split, seed=1)
    assert not other.degraded.equal(whole.degraded)


def test_severities_fill_their_range_and_kinds_come_equally_often(kept, monkeypatch):
    bench, _ = kept
    seen = []

    def watch(x, *, kind, severity, split, **more):
        seen.append((kind, severity, split))
        return degrade(x, kind=kind, severity=severity, split=split, **more)

    monkeypatch.setattr("dmtsearch.selectors.degraded_outputs.degrade", watch)
    run = run_of(bench)
    seen.clear()
    ways = (Degrade("noise", (0.2, 0.4)), Degrade("missing", (0.9, 1.0)))
    split, train = bench.data.split("selector"), bench.data.split("train")
    draw_outputs(run.classifiers, split, train, ways, run.profile, seed=0)
    assert {split for _, _, split in seen} == {"selector"}
    by_kind = {
        kind: torch.cat([severity for name, severity, _ in seen if name == kind])
        for kind in ("noise", "missing")
    }
    assert sum(len(severities) for severities in by_kind.values()) == 8 * len(split)
    for kind, low, high in (("noise", 0.2, 0.4), ("missing", 0.9, 1.0)):
        severities = by_kind[kind]
        assert 0.4 < len(severities) / (8 * len(split)) < 0.6
        assert low <= float(severities.min()) < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < float(severities.max()) <= high


# -- what is scored -------------------------------------------------------------------------------


def test_nothing_is_scored_on_the_selector_split_nor_learned_from_val(kept, monkeypatch):
    bench, _ = kept
    seen = []

    def watch(x, *, split, index, **more):
        seen.append((split, set(index.tolist())))
        return degrade(x, split=split, index=index, **more)

    monkeypatch.setattr("dmtsearch.selectors.degraded_outputs.degrade", watch)
    run = run_of(bench)
    splits = {name: set(bench.data.split(name).index.tolist()) for name in ("val", "selector")}
    assert {name for name, _ in seen} == {"val", "selector"}
    assert all(indices <= splits[name] for name, indices in seen)
    assert run.sweep.labels.equal(bench.data.split("val").y)
    assert run.draws.labels.equal(bench.data.split("selector").y)
    train = set(bench.data.split("train").index.tolist())
    assert not train & (splits["val"] | splits["selector"])


def test_a_search_reads_no_kind_that_was_not_trained_on(kept, monkeypatch):
    kinds = set()

    def watch(x, *, kind, **more):
        kinds.add(kind)
        return degrade(x, kind=kind, **more)

    monkeypatch.setattr("dmtsearch.selectors.degraded_outputs.degrade", watch)
    run = run_of(kept[0])
    run.compare()
    assert kinds == {"noise"}
    assert all(condition.seen for condition in run.sweep.conditions)


def test_the_sweep_is_kind_by_severity_by_degraded_modality(kept):
    run = run_of(kept[0])
    found = [(c.kind, c.severity, c.degraded) for c in run.sweep.conditions]
    grid = [("noise", s, d) for s in SEVERITIES for d in ((0,), (1,), (0, 1))]
    assert found == [(None, None, ()), *grid]
    clean = run.sweep.clean
    for condition in run.sweep.conditions:
        same_as_clean = run.sweep.logits(condition).eq(clean).all(dim=2).all(dim=0)
        assert [n for n in (0, 1) if not same_as_clean[n]] == list(condition.degraded)


def test_the_sweep_is_one_set_whatever_the_seed(kept):
    one, other = run_of(kept[0]), run_of(kept[0], {"seed": 5})
    assert not one.draws.degraded.equal(other.draws.degraded)
    for key, logits in one.sweep.degraded_logits.items():
        assert logits.equal(other.sweep.degraded_logits[key])


def test_val_accuracy_is_the_mean_over_all_conditions(kept):
    run = run_of(kept[0])
    counts = count_sweep(run.sweep, run.predict)
    by_hand = sum(float(one.right.double().mean()) for one in counts) / len(counts)
    assert run.measure()["accuracy"] == pytest.approx(by_hand, abs=1e-12)
    oracle = count_oracle(run.sweep)
    right = [
        (run.sweep.logits(c).argmax(2) == run.sweep.labels[:, None]).any(1).double().mean()
        for c in run.sweep.conditions
    ]
    assert average(counts, oracle)["oracle_accuracy"] == pytest.approx(
        float(sum(right)) / len(right)
    )


def test_selection_and_decisive_accuracy_by_counting(kept):
    run = run_of(kept[0])
    run.run_training(NoCheckpoints(), go_on)
    undegraded, out_of, hits, decisive = 0, 0, 0, 0
    for condition in run.sweep.conditions:
        logits, labels = run.sweep.logits(condition), run.sweep.labels
        selected = run.predict(logits).selected
        right = logits.argmax(2) == labels[:, None]
        for row, chosen in enumerate(selected.tolist()):
            if len(condition.degraded) == 1:
                out_of += 1
                undegraded += chosen != condition.degraded[0]
            if int(right[row].sum()) == 1:
                decisive += 1
                hits += bool(right[row, chosen])
    found = run.measure()
    assert found["selection_accuracy"] == pytest.approx(undegraded / out_of)
    assert found["decisive_accuracy"] == pytest.approx(hits / decisive)
    assert found["decisive_n"] == decisive
