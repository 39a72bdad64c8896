"""Searches whose students take their merit from copies of the teacher (`merit.from: folds`)."""

from pathlib import Path

import pytest

import dmtsearch

pytestmark = pytest.mark.engine

SPACE = """
dmtsearch: 1
name: folds
search: {sampler: grid, trials: 2, controls: none}
data: {name: digits, train: 200, val: 100}
defaults: {epochs: 2, optimizer: {name: adam, batch: 50, lr: 0.01}}
stages:
  teacher:
    model: {family: plain, widths: [4, 8], convs: 1}
  student:
    source: teacher
    model: {family: plain, widths: [2, 4], convs: 1}
    soft: {temperature: 2}
    merit: {rule: delta, from: folds, increment: {choice: [0.1, 0.3]}}
"""
COPIES = [f"teacher.fold{number}" for number in range(1, 6)]


@pytest.mark.parametrize("backend", ["inline", "ray"])
def test_copies_of_a_teacher_are_stages_that_all_trials_share(
    tmp_path: Path, backend: str
) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    run = dmtsearch.search(
        tmp_path / "space.yaml", out=tmp_path / "run", store=tmp_path / "store", backend=backend
    )
    assert list(run.trials["status"]) == ["done", "done"]
    stages = run.stages.set_index("name")
    assert sorted(stages.index) == sorted(["teacher", *COPIES, "student", "student"])
    assert set(stages["status"]) == {"run"}
    assert set(stages.loc[["teacher", *COPIES], "hits"]) == {1}  # the second trial's
    assert set(stages.loc["student", "hits"]) == {0}
    # Both trials are charged for all that they need: 200 samples, 2 epochs, 3 forward passes each,
    # and five times four fifths of that for the copies.
    teacher, copies = stages.loc["teacher"], stages.loc[COPIES]
    assert teacher["cost"] == 200 * 2 * 3 * teacher["macs"]
    assert copies["cost"].sum() == 4 * teacher["cost"]
    assert list(run.trials["cold_cost"]) == [
        teacher["cost"] + copies["cost"].sum() + cost for cost in stages.loc["student", "cost"]
    ]
    again = dmtsearch.search(
        tmp_path / "space.yaml", out=tmp_path / "again", store=tmp_path / "store", backend="inline"
    )
    assert again.stages.empty  # all of them lie in the store
    assert list(again.trials["val_accuracy"]) == list(run.trials["val_accuracy"])
