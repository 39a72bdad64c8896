"""Selectors in a search: what a trial requests, what it costs, what is searched for."""

import pickle
from pathlib import Path

import pytest
import torch

from dmtsearch.engine import (
    PrepareContext,
    StageSetting,
    check_objectives,
    measure_objectives,
    open_context,
    prepare_schedule,
    train_stage,
)
from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import Schedule, parse_schedule
from dmtsearch.space import parse_space
from dmtsearch.store import open_store

TEXT = """
dmtsearch: 1
name: eyes
SEARCH
data: {name: synthetic_eyes, args: {identities: 4, images: 20}}
defaults: {epochs: 1, optimizer: {name: adam, batch: 16}}
stages:
  iris: {modality: iris, model: {family: plain, widths: [2, 4], convs: 1}}
  eye: {modality: periocular, model: {family: plain, widths: [2, 4], convs: 1}}
  selector:
    select: [iris, eye]
    k: 3
    model: {family: mlp, hidden: [4]}
    degrade: DEGRADE
"""
NOISE = "[{kind: noise, severity: [0.1, 1]}]"


def schedule() -> Schedule:
    return parse_schedule(TEXT.replace("SEARCH", "").replace("DEGRADE", NOISE), "eyes.yaml")


@pytest.fixture(scope="module")
def context() -> PrepareContext:
    torch.set_num_threads(1)
    return open_context(schedule(), device="cpu")


def test_a_selector_waits_for_its_classifiers_and_weighs_as_much_as_the_whole(
    context: PrepareContext,
) -> None:
    made = prepare_schedule(schedule(), context)
    *classifiers, selector = made.requests
    assert [one.name for one in classifiers] == ["iris", "eye"]
    assert selector.sources == ("iris", "eye")
    assert made.params == sum(request.params for request in made.requests)
    assert made.macs == sum(request.macs for request in made.requests)
    assert made.cold_cost == sum(request.cost for request in made.requests)


def test_epochs_of_a_selector_cost_its_draws_and_its_classifiers_run_once(
    context: PrepareContext,
) -> None:
    made = prepare_schedule(schedule(), context)
    selector = made.requests[-1]
    costs = made.stages[-1].costs
    samples = context.data.split_sizes["selector"]
    assert costs.epoch == 3 * selector.macs * 8 * samples
    macs = sum(request.macs for request in made.requests[:-1])
    assert costs.sources == samples * macs * 5  # 1 + 8 draws / 2 modalities
    assert costs.of(selector, 1, 0) == selector.cost


def test_a_trial_of_a_selector_runs_stage_by_stage_and_yields_its_objectives(
    context: PrepareContext, tmp_path: Path
) -> None:
    made = prepare_schedule(schedule(), context)
    setting = StageSetting("run", schedule_data(), True, str(tmp_path), 20.0)
    store = open_store(str(tmp_path / "store"))
    notes: list[str] = []
    rows: list[int] = []
    for job in (pickle.loads(stage.job) for stage in made.stages):
        done = train_stage(
            job, store, setting, lambda phase, history: bool(rows.append(1)) or True, notes.append
        )
        assert done.status == "done"
    names = ("val_accuracy", "val_regret", "macs")
    found = measure_objectives(names, done.record, made)
    val = done.record["metrics"]["val"]
    assert found == {
        "val_accuracy": val["accuracy"],
        "val_regret": val["oracle_accuracy"] - val["accuracy"],
        "macs": made.macs,
    }
    assert done.record["run"] == "run"
    assert len(rows) == 3


def schedule_data():  # type: ignore[no-untyped-def]
    from dmtsearch.schedule import expand

    return expand(schedule()).data


def test_trials_whose_selectors_are_scored_over_unlike_kinds_are_refused() -> None:
    search = "search: {question: Which?, objectives: {val_accuracy: max}, trials: 2}"
    hole = (
        "{choice: {one: [{kind: noise, severity: [0.1, 1]}], "
        "two: [{kind: blur, severity: [0.1, 1]}]}}"
    )
    space = parse_space(TEXT.replace("SEARCH", search).replace("DEGRADE", hole), "eyes.yaml")
    names = [one.name for one in space.holes]
    assert names == ["selector.degrade"]
    message = "selector.degrade: a selector is scored on val over the kinds that it is trained on"
    with pytest.raises(ScheduleError, match=message):
        check_objectives(space.search, space.anchor(), "eyes.yaml", holes=names)
    check_objectives(space.search, space.anchor(), "eyes.yaml", holes=["selector.k"])
