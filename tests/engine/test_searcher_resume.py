"""A driver may be killed between any two writes: the next one ends where it would have ended."""

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
from untrained import (
    CONDITIONAL,
    FORTY,
    SOFT,
    TWELVE,
    Driver,
    FakeArm,
    Job,
    chain,
    curve_of,
    prepare,
    record_of,
    story,
)

from dmtsearch.engine import (
    Journal,
    Ledger,
    Needs,
    Prepared,
    RunCounts,
    RunnableTrial,
    RunPaths,
    TrialOutcome,
    front_arms,
    read_state,
    runnable_stages,
    searches_sizes,
    uncertain_failures,
)
from dmtsearch.errors import DmtSearchError, ModelError, ScheduleError, SearchStoppedError
from dmtsearch.schedule import Schedule
from dmtsearch.space import Space
from dmtsearch.store import open_store

pytestmark = pytest.mark.usefixtures("quick_disk")


def arms_of(schedule: Schedule) -> list[FakeArm]:
    return [FakeArm("scratch", schedule, seed) for seed in (0, 1)]


def waiting_arms(space: Space, make: Callable[[Schedule], list[FakeArm]]) -> dict[str, Any]:
    """The control arms of a `Driver`: of the anchor, or of the front where sizes are searched."""
    if searches_sizes(space):
        return {"front_arms": partial(front_arms, space=space, make=make)}
    return {"arms": make(space.anchor())}


def study_of(paths: RunPaths) -> optuna.Study:
    """The study, as `optuna-dashboard` reads the file."""
    backend = optuna.storages.journal.JournalFileBackend(str(paths.journal))
    return optuna.load_study(study_name="chain", storage=optuna.storages.JournalStorage(backend))


def study_states(paths: RunPaths) -> Counter[str]:
    """Trials of the study by state."""
    return Counter(trial.state.name for trial in study_of(paths).trials)


def shown_in_dashboard(paths: RunPaths) -> Any:
    """What `optuna-dashboard` shows beside parameters and values."""
    study = study_of(paths)
    trials = [(t.state.name, t.user_attrs, t.intermediate_values) for t in study.trials]
    return study.metric_names, study.user_attrs, trials


@pytest.mark.parametrize("pruned", [{}, {"pruner": {"name": "median"}}])
def test_the_journal_names_objectives_trials_and_control_arms_and_has_learning_curves(
    tmp_path: Path, pruned: Any
) -> None:
    space = chain(SOFT, sampler="random", **pruned)

    def learn(plan: RunnableTrial) -> TrialOutcome:
        key = plan.delivered.key
        record = {**record_of(key), "history": curve_of(key, plan.epochs)}
        for epoch in range(1, plan.epochs + 1):
            driver.searcher.should_prune(plan.trial, record["history"][:epoch], plan.epochs)
        return TrialOutcome("done", record, epochs=plan.epochs)

    driver = Driver(tmp_path, space, trials=3, arms=arms_of(space.anchor()), outcome=learn)
    driver.run()
    names, beside, trials = shown_in_dashboard(driver.paths)
    assert names == ["val_accuracy"]
    # Trials of the run: arm, search, arm, search, search.
    assert {name: known["trial"] for name, known in beside.items()} == {
        "control arm scratch, seed 0": 0,
        "control arm scratch, seed 1": 2,
    }
    state = driver.searcher.state
    arm = beside["control arm scratch, seed 1"]
    assert (arm["status"], arm["val_accuracy"]) == (
        "done",
        state.ends[2].objectives["val_accuracy"],
    )
    assert [known["trial"] for _, known, _ in trials] == [1, 3, 4]
    for _, known, steps in trials:
        # 10 epochs are 20 fractions of a training, of two each.
        assert list(steps) == list(range(1, 21))
        assert steps[20] == pytest.approx(state.ends[known["trial"]].objectives["val_accuracy"])
    driver.paths.journal.unlink()
    rebuilt = Driver(tmp_path, space, trials=3, arms=arms_of(space.anchor()))
    assert shown_in_dashboard(rebuilt.paths)[:2] == (names, beside)
    assert [known for _, known, _ in shown_in_dashboard(rebuilt.paths)[2]] == [
        known for _, known, _ in trials
    ]


def test_several_objectives_are_named_in_the_journal_and_have_no_curves(tmp_path: Path) -> None:
    space = chain(SOFT, sampler="random", objectives={"val_accuracy": "max", "val_nll": "min"})
    names, _, trials = shown_in_dashboard(Driver(tmp_path, space, trials=2).run().paths)
    assert names == ["val_accuracy", "val_nll"]
    assert [steps for _, _, steps in trials] == [{}, {}]


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """How long ledger and journal were after each write."""
    found: list[tuple[int, int]] = []
    write, append = Journal._write, Ledger.append

    def note(root: Path) -> None:
        paths = RunPaths(root)
        found.append((length(paths.ledger), length(paths.journal)))

    def write_noted(self: Journal, logs: list[dict[str, object]]) -> None:
        write(self, logs)
        note(self._path.parent)

    def append_noted(self: Ledger, record: object) -> None:
        append(self, record)
        note(self._path.parent)

    monkeypatch.setattr(Journal, "_write", write_noted)
    monkeypatch.setattr(Ledger, "append", append_noted)
    return found


def length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def cut(source: RunPaths, target: Path, ledger: int, journal: int, *, torn: bool) -> None:
    """A run folder as a SIGKILL leaves it; with `torn`, in the middle of the next write."""
    target.mkdir()
    paths = RunPaths(target)
    for path, origin, size in (
        (paths.ledger, source.ledger, ledger),
        (paths.journal, source.journal, journal),
    ):
        data = origin.read_bytes()
        rest = data[size:].split(b"\n")[0]
        path.write_bytes(data[:size] + (rest[: len(rest) // 2] if torn else b""))
    (target / "study.journal.lock").symlink_to(paths.journal)


BOUND = {"params": {"max": 599}}
SEARCHES = [
    pytest.param(chain(FORTY, pruner={"name": "halving"}), 13, id="tpe, halving"),
    pytest.param(chain(SOFT, pruner={"name": "hyperband"}), 15, id="tpe, hyperband"),
    pytest.param(chain(CONDITIONAL), 12, id="tpe, conditional"),
    pytest.param(chain(FORTY, sampler="nsga2"), 19, id="nsga2, second generation"),
    pytest.param(chain(TWELVE, sampler="grid"), 20, id="grid, used up"),
    pytest.param(chain(TWELVE, sampler="random"), 20, id="random, used up"),
    pytest.param(
        chain(FORTY, objectives={"val_accuracy": "max", "val_ece": "min"}),
        12,
        id="two objectives",
    ),
    pytest.param(
        chain(
            SOFT,
            widths="[2, {int: [3, 9]}]",
            objectives={"val_accuracy": "max", "params": "min"},
        ),
        12,
        id="controls of each model on the front",
    ),
    pytest.param(
        chain(SOFT, widths="[2, {int: [3, 5]}]", constraints=BOUND, pruner={"name": "median"}),
        12,
        id="redrawn for a bound, median",
    ),
]


@pytest.mark.parametrize(("space", "trials"), SEARCHES)
def test_a_kill_between_any_two_writes_changes_nothing(
    space: Space, trials: int, sizes: list[tuple[int, int]], tmp_path: Path
) -> None:
    arms = waiting_arms(space, arms_of)
    whole = Driver(made(tmp_path / "whole"), space, trials=trials, **arms).run()
    expected, states = story(whole), study_states(whole.paths)
    assert any(trial.arm == "scratch" for trial in whole.searcher.state.trials.values())
    assert states["RUNNING"] == 0
    writes = sizes[:-1]  # tried with every one of them; a few of each search are tried each time
    chosen = random.Random(space.where + str(trials)).sample(writes, 12)
    for number, (ledger, journal) in enumerate(chosen):
        root = tmp_path / f"cut_{number}"
        cut(whole.paths, root, ledger, journal, torn=number % 2 == 1)
        resumed = Driver(root, space, trials=trials, **arms).run()
        assert story(resumed) == expected
        assert study_states(resumed.paths) == states
        shutil.rmtree(root)


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_unfinished_trials_of_a_parallel_search_go_first_with_the_same_parameters(
    tmp_path: Path,
) -> None:
    space = chain(SOFT)
    first = Driver(tmp_path, space, trials=6)
    begun = [first.searcher.next() for _ in range(3)]
    assert begun[1] is not None
    first.finish(begun[1])
    second = Driver(tmp_path, space, trials=6).run()
    again = [plan for plan in second.plans if plan.again]
    assert [(p.trial, p.stages) for p in again] == [
        (p.trial, p.stages) for p in (begun[0], begun[2]) if p is not None
    ]
    assert [plan.trial for plan in second.plans] == [0, 2, 3, 4, 5]
    assert study_states(second.paths) == {"COMPLETE": 6}


def test_a_resume_extends_a_finished_run_to_the_new_total(tmp_path: Path) -> None:
    space = chain(SOFT)
    (tmp_path / "long").mkdir()
    (tmp_path / "short").mkdir()
    Driver(tmp_path / "short", space, trials=12).run()
    extended = Driver(tmp_path / "short", space, trials=15).run()
    assert [plan.trial for plan in extended.plans] == [12, 13, 14]
    assert story(extended) == story(Driver(tmp_path / "long", space, trials=15).run())


def test_a_resume_with_fewer_trials_than_there_are_proposes_none(tmp_path: Path) -> None:
    Driver(tmp_path, chain(SOFT), trials=5).run()
    driver = Driver(tmp_path, chain(SOFT), trials=3)
    assert driver.searcher.next() is None
    assert driver.searcher.over == "trials"


def test_a_second_end_of_a_trial_is_ignored(tmp_path: Path) -> None:
    driver = Driver(tmp_path, chain(SOFT), trials=2)
    plan = driver.searcher.next()
    assert plan is not None
    driver.finish(plan)
    lines = driver.paths.ledger.read_text().count("\n")
    driver.searcher.end(plan.trial, TrialOutcome("failed", reason="again"))
    assert driver.paths.ledger.read_text().count("\n") == lines
    assert driver.searcher.state.ends[plan.trial].status == "done"


def test_a_trial_that_can_no_longer_run_fails_with_the_reason(tmp_path: Path) -> None:
    space = chain(SOFT)
    first = Driver(tmp_path, space, trials=3)
    first.searcher.next()

    def refuse_once(schedule: Schedule) -> Prepared:
        if refuse_once.calls == 0:  # type: ignore[attr-defined]
            refuse_once.calls = 1  # type: ignore[attr-defined]
            raise ScheduleError("x", ["stages.teacher.model.weights: no such file"])
        return prepare(schedule)

    refuse_once.calls = 0  # type: ignore[attr-defined]
    second = Driver(tmp_path, space, trials=3, preparing=refuse_once).run()
    end = second.searcher.state.ends[0]
    assert (end.status, end.reason) == ("failed", "stages.teacher.model.weights: no such file")
    assert len(second.searcher.state.ends) == 3
    assert study_states(second.paths) == {"FAIL": 1, "COMPLETE": 2}


def test_a_trial_taken_up_on_another_device_stands_with_its_new_keys(tmp_path: Path) -> None:
    space = chain(SOFT)
    first = Driver(tmp_path, space, trials=2)
    begun = first.searcher.next()

    def on_cuda(schedule: Schedule) -> Prepared:
        made = prepare(schedule)
        there = [replace(r, key=r.key[::-1]) for r in made.requests]
        return replace(
            made,
            stages=runnable_stages(there, [Job(r.key) for r in there], [Needs()] * len(there)),
        )

    second = Driver(tmp_path, space, trials=2, preparing=on_cuda).run()
    assert begun is not None
    assert second.plans[0].stages[0].key == begun.stages[0].key[::-1]
    assert second.searcher.state.trials[0].stages == tuple(
        stage.request for stage in second.plans[0].stages
    )
    assert len(second.searcher.state.trials) == 2


def test_a_run_with_other_objectives_is_refused(tmp_path: Path) -> None:
    Driver(tmp_path, chain(SOFT), trials=2).run()
    with pytest.raises(DmtSearchError, match=r"a study with other objectives; .* --out DIR"):
        Driver(tmp_path, chain(SOFT, objectives={"val_nll": "min"}), trials=3)


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    RunPaths(tmp_path).journal.write_text("hello\n")
    with pytest.raises(DmtSearchError, match=r"study\.journal: is not the journal of an Optuna"):
        Driver(tmp_path, chain(SOFT), trials=3)


def test_an_interrupted_driver_says_so_and_leaves_its_trials(tmp_path: Path) -> None:
    driver = Driver(tmp_path, chain(SOFT), trials=3)
    driver.searcher.next()
    driver.searcher.interrupted()
    state = read_state(driver.paths.ledger)
    assert state.ended is not None
    assert state.ended.reason == "interrupted"
    assert [trial.trial for trial in state.unfinished] == [0]
    assert json.loads(driver.paths.summary.read_text())["trials"]["unfinished"] == 1


def test_notes_that_optuna_dashboard_adds_meanwhile_are_kept(tmp_path: Path) -> None:
    driver = Driver(tmp_path, chain(SOFT), trials=4)
    first = driver.searcher.next()
    assert first is not None
    backend = optuna.storages.journal.JournalFileBackend(str(driver.paths.journal))
    other = optuna.load_study(study_name="chain", storage=optuna.storages.JournalStorage(backend))
    other.set_user_attr("note", "a look at the first trial")
    driver.finish(first)
    driver.run()
    assert study_states(driver.paths) == {"COMPLETE": 4}
    again = optuna.load_study(study_name="chain", storage=optuna.storages.JournalStorage(backend))
    assert again.user_attrs == {"note": "a look at the first trial"}


def test_a_trial_whose_weights_file_is_away_is_not_failed_by_a_resume(tmp_path: Path) -> None:
    Driver(tmp_path, chain(SOFT), trials=2).searcher.next()

    def refuse(schedule: Schedule) -> Prepared:
        raise ModelError("no weights file t.safetensors") from FileNotFoundError(2, "no such file")

    second = Driver(tmp_path, chain(SOFT), trials=2, preparing=refuse)
    with pytest.raises(SearchStoppedError, match=r"trial 0 cannot go on: no weights file t\.safe"):
        second.searcher.next()
    third = Driver(tmp_path, chain(SOFT), trials=2).run()
    assert [end.status for end in third.searcher.state.ends.values()] == ["done", "done"]


def test_a_failure_of_before_failures_were_told_apart_is_tried_again_unless_its_stage_diverged(
    tmp_path: Path,
) -> None:
    space, store = chain(SOFT), open_store(str(tmp_path / "store"))

    def fail(plan: RunnableTrial) -> TrialOutcome | None:
        reason = "the store is full" if plan.trial < 2 else "this student breaks"
        failed = TrialOutcome("failed", stage="student", reason=reason)
        return failed if plan.trial < 3 else None

    (tmp_path / "run").mkdir()
    first = Driver(tmp_path / "run", space, trials=4, outcome=fail).run()
    store.fail(first.searcher.state.trials[1].key, {"error": "diverged"})
    # Trials 0 and 1 as an earlier version wrote them; 2 failed by an answer of this one.
    lines = [json.loads(line) for line in first.paths.ledger.read_text().splitlines()]
    for line in lines:
        if line["event"] == "end" and line["trial"] < 2:
            del line["certain"]
    first.paths.ledger.write_text("".join(json.dumps(line) + "\n" for line in lines))

    second = Driver(tmp_path / "run", space, trials=4)
    assert uncertain_failures(second.searcher.state, store) == (0,)
    second.searcher.reopen((0,))
    second.run()
    assert [plan.trial for plan in second.plans] == [0]
    state = read_state(second.paths.ledger)
    assert {n: end.status for n, end in state.ends.items()} == {
        **{0: "done", 1: "failed"},
        **{2: "failed", 3: "done"},
    }
    assert uncertain_failures(state, store) == ()
    tally = RunCounts(second.paths.ledger)
    tally.read()
    assert tally.counts(controls=False) == {"running": 0, "done": 2, "pruned": 0, "failed": 2}
