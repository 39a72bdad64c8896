"""The files that a run shows the world: trials, stages, curves, summary, best schedules."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from untrained import (
    FORTY,
    SOFT,
    Driver,
    FakeArm,
    accuracy_of,
    chain,
    prepare,
    record_of,
    stage_ended,
)

from dmtsearch.engine import (
    ArmMissing,
    Record,
    Redrawn,
    RunnableTrial,
    RunPaths,
    RunStarted,
    RunState,
    StageRequest,
    Tables,
    TrialEnded,
    TrialOutcome,
    TrialProposed,
    best_trial,
    check_objectives,
    dominates,
    fold,
    is_better,
    pareto_set,
    pareto_trials,
    summarise,
)
from dmtsearch.errors import DmtSearchError, ScheduleError
from dmtsearch.schedule import load_schedule

pytestmark = pytest.mark.usefixtures("quick_disk")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def run(**objectives: str) -> RunStarted:
    wanted = objectives or {"val_accuracy": "max"}
    return RunStarted("r", "2026", False, 0, 9, 1, wanted, {}, "cmd")


def request(name: str, key: str, *, cost: int = 100, epochs: int = 10) -> StageRequest:
    return StageRequest(name, key, (), "plain", 60, 600, epochs, 5, cost)


def proposed(
    trial: int, *stages: StageRequest, arm: str = "search", **values: Any
) -> TrialProposed:
    stages = stages or (request("student", f"{trial:064x}"),)
    return TrialProposed(
        trial=trial,
        arm=arm,
        seed=0,
        number=trial if arm == "search" else None,
        values=values,
        schedule=f"dmtsearch: {trial}\n",
        stages=stages,
        deliver=stages[-1].name,
        params=60,
        macs=600,
        cold_cost=sum(stage.cost for stage in stages),
    )


def done(trial: int, accuracy: float, **objectives: float) -> TrialEnded:
    metrics = {"n": 100, "accuracy": accuracy, "nll": 0.5, "ece": 0.1}
    return TrialEnded(
        trial, "done", objectives or {"val_accuracy": accuracy}, metrics, None, None, 10, "2026"
    )


def failed(trial: int, reason: str = "diverged") -> TrialEnded:
    return TrialEnded(trial, "failed", {"val_accuracy": None}, {}, "student", reason, 0, "2026")


def state_of(*records: Record) -> RunState:
    return fold([run(), *records] if not isinstance(records[0], RunStarted) else records)


def test_trials_has_a_row_for_each_ended_trial_with_its_holes(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    state = state_of(
        *(proposed(0, soft=0.3), proposed(1, arm="scratch"), proposed(2, merit="a,b")),
        *(failed(2, 'it said "no",\nthen died'), done(1, 0.5), proposed(3), done(0, 0.75)),
    )
    Tables(paths, ["soft", "merit"]).write(state)
    rows = read(paths.trials)
    assert list(rows[0])[:6] == ["trial", "arm", "status", "seed", "val_accuracy", "cold_cost"]
    assert list(rows[0])[-2:] == ["soft", "merit"]
    assert [(r["trial"], r["arm"], r["status"], r["val_accuracy"], r["soft"]) for r in rows] == [
        ("0", "search", "done", "0.75", "0.3"),
        ("1", "scratch", "done", "0.5", ""),
        ("2", "search", "failed", "", ""),
    ]
    assert rows[2]["merit"] == "a,b"
    assert rows[2]["reason"] == 'it said "no",\nthen died'
    assert rows[0]["n"] == "100"


def test_an_objective_is_one_column_even_where_it_is_a_cost(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    state = fold([run(val_accuracy="max", cold_cost="min"), proposed(0),
                  done(0, 0.5, val_accuracy=0.5, cold_cost=100)])  # fmt: skip
    Tables(paths, []).write(state)
    header = paths.trials.read_text().splitlines()[0].split(",")
    assert len(set(header)) == len(header)
    assert header[4:6] == ["val_accuracy", "cold_cost"]
    assert read(paths.trials)[0]["cold_cost"] == "100"


def test_stages_has_a_row_for_each_stage_that_was_executed(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    teacher, stored = request("teacher", "a" * 64), request("old", "b" * 64)
    state = state_of(
        *(proposed(0, stored, teacher), proposed(1, stored, teacher), proposed(2, teacher)),
        *(stage_ended(stored, 0, "store"), stage_ended(teacher, 1)),
    )
    Tables(paths, []).write(state)
    rows = read(paths.stages)
    assert [(r["key"], r["name"], r["requested_by"], r["hits"]) for r in rows] == [
        ("a" * 64, "teacher", "1", "2"),
    ]
    assert rows[0]["val_accuracy"] == str(accuracy_of("a" * 64))
    assert rows[0]["latency_ms"] == "2.0"


def test_a_stage_that_was_stopped_and_later_finished_is_one_row(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    student = request("student", "a" * 64)
    ends = (stage_ended(student, 0, "stopped"), stage_ended(student, 1))
    Tables(paths, []).write(state_of(proposed(0, student), proposed(1, student), *ends))
    assert [row["status"] for row in read(paths.stages)] == ["run"]


def test_curves_has_a_row_for_each_epoch(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    stage = stage_ended(request("student", "a" * 64, epochs=3), 0)
    Tables(paths, []).write(state_of(proposed(0), stage))
    rows = read(paths.curves)
    assert [(r["name"], r["phase"], r["epoch"]) for r in rows] == [
        ("student", "train", str(epoch)) for epoch in (1, 2, 3)
    ]
    assert float(rows[-1]["val_accuracy"]) == accuracy_of("a" * 64)


def test_a_stage_that_measures_something_new_adds_a_column_for_all(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    first = stage_ended(request("one", "a" * 64, epochs=2), 0)
    hints = replace(
        stage_ended(request("two", "b" * 64), 0),
        history=({"phase": "hint", "epoch": 1, "val_hint": 0.25},),
    )
    written = Tables(paths, [])
    written.write(state_of(proposed(0), first))
    written.write(state_of(proposed(0), first, hints))
    grown = paths.curves.read_text()
    Tables(paths, []).write(state_of(proposed(0), first, hints))
    assert paths.curves.read_text() == grown
    rows = read(paths.curves)
    assert [row["val_hint"] for row in rows] == ["", "", "0.25"]
    assert rows[2]["val_accuracy"] == ""


def sweep(*conditions: tuple[tuple[str, ...], float, float]) -> dict[str, Any]:
    """What a selector's stage keeps of val: degraded modalities, its accuracy, a rule's."""
    return {
        "sweep": [
            {"degraded": list(degraded), "seen": True, "accuracy": own,
             "methods": {"only_a": {"accuracy": 0.0}, "sum_rule": {"accuracy": rule},
                         "oracle": {"accuracy": 1.0}}}
            for degraded, own, rule in conditions
        ]
    }  # fmt: skip


def test_a_search_of_selectors_has_a_table_of_rules_and_says_what_is_best_by_them(
    tmp_path: Path,
) -> None:
    one, two = request("selector", "a" * 64), request("selector", "b" * 64)
    found = [sweep(((), 1.0, 0.5), (("a",), 0.5, 0.25)), sweep(((), 0.5, 1.0), (("a",), 0.5, 0.5))]
    state = state_of(
        *(proposed(0, one), proposed(1, two), done(0, 0.75), done(1, 0.5)),
        *(replace(stage_ended(r, 0), val_sweep=s) for r, s in zip((one, two), found, strict=True)),
    )
    paths = RunPaths(tmp_path)
    Tables(paths, []).write(state)
    rows = {(row["trial"], row["method"]): row for row in read(paths.rules)}
    # By hand: the mean of .5 and .25; with one modality degraded .25 alone.
    assert rows["0", "sum_rule"]["val_accuracy"] == "0.375"
    assert rows["0", "sum_rule"]["one_degraded"] == "0.25"
    assert len(rows) == 2 * 4
    selectors = json.loads(paths.summary.read_text())["selectors"]
    assert selectors["best"] == {"method": "selector", "trial": 0, "accuracy": 0.75}
    assert selectors["rule"] == {"method": "sum_rule", "trial": 0, "accuracy": 0.375}
    assert selectors["modality"]["method"] == "only_a"
    by_sum = {"method": "sum_rule", "trial": 1, "accuracy": 0.75}
    assert selectors["best_by"] == {"sum_rule": by_sum}


def test_tables_that_grow_are_those_that_are_made_anew(tmp_path: Path) -> None:
    grown = Driver(made(tmp_path / "a"), chain(FORTY), trials=8).run()
    anew = RunPaths(made(tmp_path / "b"))
    holes = [hole.name for hole in chain(FORTY).holes]
    Tables(anew, holes).write(grown.searcher.state)
    for name in ("trials", "stages", "curves", "summary", "best_schedule"):
        assert getattr(anew, name).read_text() == getattr(grown.paths, name).read_text()


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_tables_stand_after_every_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(tmp_path, chain(SOFT), trials=4)
    monkeypatch.setattr(
        "dmtsearch.engine.run_tables._REST", 0
    )  # as where trials take longer than a write
    for number in range(1, 5):
        plan = driver.searcher.next()
        assert plan is not None
        driver.finish(plan)
        assert len(read(driver.paths.trials)) == number
        assert json.loads(driver.paths.summary.read_text())["trials"]["done"] == number


def test_tables_take_a_twentieth_of_the_time_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr("dmtsearch.engine.run_tables.monotonic", lambda: next(clock))
    writes: list[int] = []
    write = Tables.write

    def counted(self: Tables, state: RunState) -> None:
        writes.append(len(state.ends))
        write(self, state)

    monkeypatch.setattr(Tables, "write", counted)
    driver = Driver(tmp_path, chain(SOFT), trials=60).run()
    # A write takes 1 s of this clock, and each look 1 s: after a rest of 19 s, and at the end.
    assert writes == [1, 20, 39, 58, 60]
    assert len(read(driver.paths.trials)) == 60


def test_tables_that_were_put_off_are_written_soon_though_no_trial_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("dmtsearch.engine.run_tables.monotonic", lambda: now)
    driver = Driver(tmp_path, chain(SOFT), trials=2)
    driver.searcher._tables._not_before = 5.0
    plan = driver.searcher.next()
    assert plan is not None
    driver.finish(plan)
    driver.searcher.look()
    assert not driver.paths.trials.exists(), "it is too early for another write"
    now = 5.0
    driver.searcher.look()
    assert len(read(driver.paths.trials)) == 1
    driver.paths.trials.unlink()
    driver.searcher.look()
    assert not driver.paths.trials.exists(), "nothing has happened since"


def test_the_summary_counts_everything() -> None:
    state = state_of(
        *(proposed(0), proposed(1), proposed(2), proposed(3, arm="scratch"), proposed(4)),
        *(done(0, 0.5), failed(1), failed(2, "oom"), done(3, 0.9)),
        Redrawn("bound", {}, "params"),
        Redrawn("duplicate", {}, "0", 7, 0),
        ArmMissing("fitnet", "no hints"),
    )
    found = summarise(state)
    assert found["trials"] == {
        "proposed": 4,
        "done": 1,
        "pruned": 0,
        "failed": 2,
        "unfinished": 1,
        "redrawn": {"refused": 0, "bound": 1, "duplicate": 1},
        "controls": {
            "proposed": 1,
            "done": 1,
            "pruned": 0,
            "failed": 0,
            "unfinished": 0,
            "missing": [{"arm": "fitnet", "reason": "no hints"}],
        },
    }
    assert found["failures"] == [
        {"reason": "diverged", "count": 1, "trials": [1]},
        {"reason": "oom", "count": 1, "trials": [2]},
    ]


def test_sharing_is_counted_exactly() -> None:
    teacher = request("teacher", "a" * 64, cost=1000)
    one, two = request("student", "b" * 64), request("student", "c" * 64)
    state = state_of(
        *(proposed(0, teacher, one), proposed(1, teacher, two), proposed(2, teacher)),
        *(stage_ended(teacher, 0), stage_ended(one, 0), stage_ended(two, 1, "store")),
    )
    # By hand: 5 stages of 10 + 5 epochs requested; the fake runs 10 epochs of two of them.
    assert summarise(state)["sharing"] == {
        "stages_requested": 5,
        "stages_run": 2,
        "stages_in_store": 1,
        "epochs_requested": 75,
        "epochs_run": 20,
        "cost_requested": 3200,
        "cost_run": 1100,
    }


def test_a_summary_without_a_finished_trial_has_no_best(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    state = state_of(proposed(0), failed(0))
    Tables(paths, []).write(state)
    assert json.loads(paths.summary.read_text())["best"] is None
    assert not paths.best_schedule.exists()


def test_the_best_is_a_search_trial_even_where_a_control_arm_is_better(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    state = state_of(
        *(proposed(0, soft=0.3), proposed(1, arm="scratch"), proposed(2)),
        *(done(0, 0.7), done(1, 0.9), done(2, 0.7)),
    )
    Tables(paths, ["soft"]).write(state)
    found = json.loads(paths.summary.read_text())
    assert found["best"]["trial"] == 0  # of equals the first
    assert found["best"]["n"] == 100
    assert found["best"]["values"] == {"soft": 0.3}
    assert found["best_control"]["arm"] == "scratch"
    assert paths.best_schedule.read_text() == "dmtsearch: 0\n"


def test_the_best_of_what_is_to_be_small_is_the_smallest() -> None:
    state = fold([run(val_nll="min"), *(proposed(n) for n in range(3)),
                  done(0, 0.9, val_nll=0.5), done(1, 0.1, val_nll=0.2),
                  done(2, 0.9, val_nll=0.3)])  # fmt: skip
    best = best_trial(state)
    assert best is not None
    assert best.trial == 1


def test_the_best_schedule_loads_and_is_the_best_trials(tmp_path: Path) -> None:
    driver = Driver(tmp_path, chain(SOFT), trials=5).run()
    best = best_trial(driver.searcher.state)
    assert best is not None
    top = max(accuracy_of(trial.key) for trial in driver.searcher.state.of_search())
    assert accuracy_of(best.key) == top
    schedule = load_schedule(driver.paths.best_schedule)
    assert prepare(schedule).key == best.key


def test_of_several_objectives_the_most_accurate_is_best_and_the_others_lie_beside(
    tmp_path: Path,
) -> None:
    paths = RunPaths(tmp_path)
    start = run(macs="min", val_accuracy="max")
    values = [(600, 0.7), (900, 0.8), (700, 0.6), (300, 0.5)]
    records: list[Record] = [start]
    for number, (macs, accuracy) in enumerate(values):
        records += [proposed(number), done(number, accuracy, macs=macs, val_accuracy=accuracy)]
    written = Tables(paths, [])
    written.write(fold(records))
    # By hand: trial 2 is beaten by trial 0 in both.
    assert [trial.trial for trial in pareto_trials(fold(records))] == [0, 1, 3]
    assert paths.best_schedule.read_text() == "dmtsearch: 1\n"
    assert names(paths) == ["trial_0000.yaml", "trial_0003.yaml"]
    records += [proposed(4), done(4, 0.9, macs=200, val_accuracy=0.9)]
    written.write(fold(records))
    assert names(paths) == []
    assert paths.best_schedule.read_text() == "dmtsearch: 4\n"
    assert json.loads(paths.summary.read_text())["pareto"] == [4]


def names(paths: RunPaths) -> list[str]:
    return sorted(path.name for path in paths.pareto.glob("*"))


def test_dominance_needs_one_better_and_none_worse() -> None:
    directions = ("max", "min")
    assert dominates((0.9, 5), (0.8, 5), directions)
    assert not dominates((0.9, 6), (0.8, 5), directions)
    assert not dominates((0.9, 5), (0.9, 5), directions)
    assert is_better(1, 2, "min")
    assert not is_better(2, 2, "max")


def test_a_pareto_set_keeps_the_first_of_equals() -> None:
    values = {3: (0.9, 5.0), 1: (0.9, 5.0), 2: (0.8, 4.0), 5: (0.7, 4.0), 4: (0.95, 9.0)}
    assert pareto_set(values, ("max", "min")) == (1, 2, 4)


def outcome_with(**changes: Any) -> Any:
    def outcome(plan: RunnableTrial) -> TrialOutcome:
        record = record_of(plan.stages[-1].request.key)
        record["metrics"]["val"].update(changes)
        return TrialOutcome("done", record, epochs=10)

    return outcome


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "high", True])
def test_an_objective_without_a_finite_value_makes_a_trial_fail(
    value: object, tmp_path: Path
) -> None:
    driver = Driver(tmp_path, chain(SOFT), trials=2, outcome=outcome_with(accuracy=value)).run()
    ends = driver.searcher.state.ends
    assert [(e.status, e.stage, e.reason) for e in ends.values()] == [
        ("failed", "student", "val_accuracy has no finite value")
    ] * 2
    assert json.loads(driver.paths.summary.read_text())["best"] is None


def test_every_objective_is_measured_on_the_delivered_stage_and_its_schedule(
    tmp_path: Path,
) -> None:
    directions = {
        "one": {"val_accuracy": "max", "val_nll": "min", "val_ece": "min"},
        "two": {"params": "min", "macs": "min", "cold_cost": "min"},
        "three": {"latency": "min"},
    }
    found: dict[str, float | None] = {}
    for name, objectives in directions.items():
        space = chain(SOFT, objectives=objectives)
        driver = Driver(made(tmp_path / name), space, trials=1).run()
        found |= driver.searcher.state.ends[0].objectives
    accuracy = accuracy_of(driver.searcher.state.trials[0].key)
    # The student: widths 2 and 4, 10 epochs; the teacher: 8 and 16 (see `prepare`).
    assert found == {
        "val_accuracy": accuracy,
        "val_nll": 1 - accuracy,
        "val_ece": 0.1,
        "params": 600,
        "macs": 6000,
        "cold_cost": 3000 * (6 + 24) * 10,
        "latency": 2.0,
    }


def test_an_objective_that_no_stage_yields_is_refused(tmp_path: Path) -> None:
    space = chain(SOFT, objectives={"val_regret": "min"})
    with pytest.raises(ScheduleError, match=r"val_regret: only a delivered selector yields it"):
        Driver(tmp_path, space)


def test_a_pruner_that_cannot_see_the_objective_is_refused(tmp_path: Path) -> None:
    space = chain(SOFT, objectives={"latency": "min"}, pruner={"name": "median"})
    with pytest.raises(ScheduleError, match=r"latency is not measured epoch by epoch, .* none"):
        Driver(tmp_path, space)


def test_a_pruner_with_two_objectives_is_refused() -> None:
    space = chain(SOFT, pruner={"name": "halving"})
    both = {"val_accuracy": "max", "macs": "min"}
    spec = space.search.model_copy(update={"objectives": both})
    with pytest.raises(ScheduleError, match=r"needs a single objective, and there are 2"):
        check_objectives(spec, space.anchor(), "chain.yaml")


def test_the_sampler_of_two_objectives_sees_both(tmp_path: Path) -> None:
    space = chain(SOFT, objectives={"val_accuracy": "max", "val_ece": "min"})
    driver = Driver(tmp_path, space, trials=2).run()
    journal = driver.paths.journal.read_text()
    accuracy = driver.searcher.state.ends[0].objectives["val_accuracy"]
    assert f'"values":[{accuracy},0.1]' in journal


def test_an_unknown_trial_is_refused(tmp_path: Path) -> None:
    driver = Driver(tmp_path, chain(SOFT))
    with pytest.raises(DmtSearchError, match="no trial 7 in this run"):
        driver.searcher.end(7, TrialOutcome("done"))


def test_all_trials_may_fail(tmp_path: Path) -> None:
    driver = Driver(
        tmp_path,
        chain(SOFT),
        trials=3,
        arms=[FakeArm("scratch", chain(SOFT).anchor())],
        outcome=lambda plan: TrialOutcome("failed", stage="teacher", reason="diverged"),
    ).run()
    found = json.loads(driver.paths.summary.read_text())
    assert found["trials"]["failed"] == 3
    assert found["failures"] == [{"reason": "diverged", "count": 4, "trials": [0, 1, 2, 3]}]
    assert [row["stage"] for row in read(driver.paths.trials)] == ["teacher"] * 4
