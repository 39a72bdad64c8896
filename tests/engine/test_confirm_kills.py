"""A confirmation on Ray whose driver is killed while stages train."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from engine_runs import Search

import dmtsearch
from dmtsearch.engine import RunState

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SPACE = """
dmtsearch: 1
name: small
search: {sampler: grid, trials: 2, controls: none}
data: {name: digits, train: 200, val: 100, test: 400}
defaults: {epochs: 3, optimizer: {name: adam, lr: 0.01, batch: 50}}
stages:
  teacher:
    model: {family: plain, widths: [4, 8], convs: 1}
  student:
    source: teacher
    model: {family: plain, widths: [2, 4], convs: 1}
    soft: {temperature: {choice: [2, 4]}}
    hints: [{source: block1, at: block1}]
"""
WORDS = ("--top", "2", "--looks", "5", "--vary", "hints", "--backend", "ray")


def found_in(run: Path) -> dict[str, Any]:
    """`confirm.json` without the times at which the test split was opened."""
    found: dict[str, Any] = json.loads((run / "confirm.json").read_text())
    for opening in found["openings"]:
        opening.pop("opened")
    return found


def trained(state: RunState) -> list[str]:
    """Keys of the stages that were trained to their end, as often as they were."""
    return [stage.key for stage in state.stages if stage.status == "run"]


def test_a_killed_confirmation_goes_on_where_it_was_to_the_same_verdict(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    run, store = tmp_path / "run", tmp_path / "store"
    dmtsearch.search(tmp_path / "space.yaml", out=run, store=str(store), backend="inline")
    shutil.copytree(run, tmp_path / "undisturbed")

    confirm = Search(run / "confirm", store)
    confirm.begin("confirm", str(run), *WORDS)
    # Past the choosing (a teacher and six students), with at least a replicate's stage running.
    confirm.wait_for(lambda state: len(trained(state)) >= 9 and bool(state.unfinished))
    confirm.kill()
    before = trained(confirm.state())
    assert not (run / "policy.json").exists()

    confirm.begin("confirm", str(run), *WORDS)
    code, said = confirm.end()
    assert code == 0, said
    confirm.gone()
    after = trained(confirm.state())
    assert len(after) > len(before)
    assert len(after) == len(set(after))  # finished stages ran once
    # Looks and explanation share one Ray.
    assert said.count("starting Ray") == 1
    assert said.count("on the same Ray") >= 1

    dmtsearch.confirm(
        tmp_path / "undisturbed",
        top=2,
        looks=[5],
        vary=["hints"],
        backend="inline",
        store=str(tmp_path / "another"),
    )
    assert found_in(run) == found_in(tmp_path / "undisturbed")
    for name in ("confirm.csv", "policy.json"):
        assert (run / name).read_text() == (tmp_path / "undisturbed" / name).read_text()
