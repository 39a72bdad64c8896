"""From a filled schedule to stages with their jobs, on real models and data."""

import pickle
from pathlib import Path

import pytest
import torch

from dmtsearch.engine import (
    PrepareContext,
    RunPaths,
    RunStarted,
    Searcher,
    TrialOutcome,
    open_context,
    prepare_schedule,
    preparer,
)
from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import Schedule, load_schedule, parse_schedule
from dmtsearch.space import parse_space
from dmtsearch.store import open_store
from dmtsearch.training import StageContext, StageJob, StageResult, get_or_train, go_on

TEXT = """
dmtsearch: 1
name: small
data: {name: digits, train: 128, val: 64}
defaults: {epochs: 1, optimizer: {name: adam, batch: 64}}
stages:
  teacher:
    model: {family: plain, widths: [4, 8], convs: 1}
  student:
    source: teacher
    model: {family: plain, widths: [2, 4], convs: 1}
    SOFT
"""


@pytest.fixture(scope="module")
def context() -> PrepareContext:
    torch.set_num_threads(1)
    return open_context(schedule(), device="cpu")


def schedule(soft: str = "soft: {temperature: 2}") -> Schedule:
    return parse_schedule(TEXT.replace("SOFT", soft), "small.yaml")


def test_a_request_says_what_a_trial_requests(context: PrepareContext) -> None:
    made = prepare_schedule(
        schedule("hints: [{source: block1, at: block1}]\n    hint_phase: {epochs: 3}"), context
    )
    teacher, student = made.requests
    assert (teacher.name, teacher.sources, teacher.hint_epochs) == ("teacher", (), 0)
    assert (student.name, student.sources, student.hint_epochs) == ("student", ("teacher",), 3)
    # By hand: two blocks of conv 3x3 and batch norm; 4 x 2 x 2 features are left of 8 x 8.
    assert student.params == (9 * 2 + 2) + 2 * 2 + (9 * 2 * 4 + 4) + 2 * 4 + 16 * 10 + 10
    assert student.model == "plain 2-4, 1 convs a block"
    assert (made.deliver, made.params, made.macs) == ("student", student.params, student.macs)
    assert made.cold_cost == teacher.cost + student.cost
    # 128 samples, 1 epoch, three forward passes each; nothing is read of a source.
    assert teacher.cost == 128 * 3 * teacher.macs


def test_copies_for_folds_are_requested_before_the_stage_that_needs_them_and_paid_for(
    context: PrepareContext,
) -> None:
    plain = prepare_schedule(schedule("merit: {rule: hard}"), context)
    made = prepare_schedule(schedule("merit: {rule: hard, from: folds}"), context)
    copies = [f"teacher.fold{number}" for number in range(1, 6)]
    assert [request.name for request in made.requests] == ["teacher", *copies, "student"]
    assert made.requests[-1].sources == ("teacher", *copies)
    assert made.cold_cost == sum(request.cost for request in made.requests)
    teacher = plain.requests[0]
    # Five times four fifths of its training, and one pass in which each sample meets one copy.
    # 128 samples in fifths: 102 or 103 are left of them, 4 x 128 in all.
    trained = sum(request.cost for request in made.requests if request.name in copies)
    assert trained == 4 * teacher.cost
    assert made.cold_cost - plain.cold_cost == trained + 128 * teacher.macs


def test_a_job_can_be_sent_and_is_what_the_request_says(context: PrepareContext) -> None:
    made = prepare_schedule(schedule(), context)
    jobs = [pickle.loads(stage.job) for stage in made.stages]
    assert all(isinstance(job, StageJob) for job in jobs)
    assert [job.keys.key for job in jobs] == [request.key for request in made.requests]
    assert made.key == jobs[-1].keys.key


def test_equal_early_stages_of_unlike_trials_have_one_key(context: PrepareContext) -> None:
    one, two = (
        prepare_schedule(schedule(), context),
        prepare_schedule(schedule("soft: {temperature: 3}"), context),
    )
    assert one.requests[0].key == two.requests[0].key
    assert one.key != two.key


def test_the_seed_is_part_of_every_key(context: PrepareContext) -> None:
    one, two = (
        prepare_schedule(schedule(), context),
        prepare_schedule(schedule().with_seed(1), context),
    )
    assert {r.key for r in one.requests}.isdisjoint(r.key for r in two.requests)


def test_a_source_without_effect_is_not_requested(context: PrepareContext) -> None:
    made = prepare_schedule(schedule("soft: none"), context)
    assert [request.name for request in made.requests] == ["student"]
    assert made.cold_cost == made.requests[0].cost


def test_a_stage_that_goes_on_from_another_needs_it_first(context: PrepareContext) -> None:
    text = TEXT.replace("SOFT", "soft: {temperature: 2}") + (
        "  more:\n    model: {family: plain, widths: [2, 4], convs: 1}\n    init: student\n"
    )
    made = prepare_schedule(parse_schedule(text, "more.yaml"), context)
    assert made.requests[-1].sources == ("student",)
    assert [request.name for request in made.requests] == ["teacher", "student", "more"]


def test_what_check_refuses_is_refused(context: PrepareContext) -> None:
    with pytest.raises(ScheduleError, match="block9"):
        prepare_schedule(schedule("hints: [{source: block9, at: block1}]"), context)


def test_a_users_own_module_is_named_as_such() -> None:
    own = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    context = open_context(schedule(), device="cpu", objects={"teacher": own})
    made = prepare_schedule(schedule(), context)
    assert made.requests[0].model == "the user's own module 'teacher'"
    assert made.requests[0].params == 650


def test_a_search_trains_for_real_and_hands_back_the_best(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    space = parse_space(
        TEXT.replace("SOFT", "soft: {temperature: {choice: [1, 4]}}"), "small.yaml"
    )
    context = open_context(space.anchor(), device="cpu")
    (tmp_path / "run").mkdir()
    paths = RunPaths(tmp_path / "run")
    searcher = Searcher(space, paths, trials=4, seed=0, prepare=preparer(context))
    searcher.record(
        RunStarted("r", "2026", False, 0, 4, 1, dict(space.search.objectives), {}, "test")
    )
    store = open_store(f"file://{tmp_path}/store")
    data = context.data
    bench = StageContext(data.split("train"), data.split("val"), {})
    results: dict[str, StageResult] = {}
    while (plan := searcher.next()) is not None:
        for stage in plan.stages:
            job = pickle.loads(stage.job)
            result = get_or_train(job, bench, store, listen=go_on, notify=lambda text: None)
            assert isinstance(result, StageResult)
            results[job.keys.key] = result
        record = results[plan.stages[-1].request.key].record
        searcher.end(plan.trial, TrialOutcome("done", record, epochs=1))
    searcher.stop()
    assert searcher.over == "used_up"
    assert len(results) == 3  # one teacher, two students
    accuracies = [e.objectives["val_accuracy"] for e in searcher.state.ends.values()]
    assert all(accuracy is not None and 0 <= accuracy <= 1 for accuracy in accuracies)
    assert load_schedule(paths.best_schedule).name == "small"
