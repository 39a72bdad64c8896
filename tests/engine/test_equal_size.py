"""Where delivered sizes are searched, control arms wait for the front and have its models."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from confirm_pieces import Quiet

import dmtsearch
from dmtsearch.engine import (
    RunCounts,
    RunState,
    StageRequest,
    TrialEnded,
    TrialProposed,
    best_control,
    best_trial,
    delivered_model,
    front_trials,
    pareto_trials,
    read_state,
    searches_sizes,
)
from dmtsearch.schedule import expand, parse_schedule
from dmtsearch.space import load_space, parse_space

SPACES = Path(__file__).parents[2] / "search_spaces"
TEXT = """
dmtsearch: 1
name: sizes
search:
  sampler: grid
  objectives: {params: min, macs: max}
  controls: [scratch_long, hint_untrained, direct_long]
  equal_cost: true
data: {name: digits, train: 200, val: 100, test: 400}
defaults: {epochs: 1, optimizer: {name: adam, batch: 50}}
stages:
  teacher: {model: {family: plain, widths: [4], convs: 1}}
  student:
    source: teacher
    model: {family: plain, widths: {choice: [[2], [3], [4]]}, convs: 1}
    soft: {weight: {choice: [0.3, 0.6]}}
"""


def space_of(text: str = TEXT):
    return parse_space(text, "sizes.yaml")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sizes") / "run"
    dmtsearch.search(space_of(), out=folder, backend="inline", seed=0)
    return folder


def front_models(state: RunState) -> set:
    return {delivered_model(trial) for trial in pareto_trials(state)}


def test_the_controls_come_last_one_set_for_each_delivered_model_on_the_front(run) -> None:
    state = read_state(run / "ledger.jsonl")
    arms = [trial.arm for trial in state.trials.values()]
    assert arms[:6] == ["search"] * 6
    controls = state.of_controls("done")
    models = front_models(state)
    assert len(models) == 3
    assert {(trial.arm, delivered_model(trial)) for trial in controls} == {
        (arm, model) for arm in ("scratch_long", "direct_long") for model in models
    }
    assert len(controls) == 2 * len(models)
    # The arms are those of the schedule on the front: its model, its soft weight.
    for trial in front_trials(state):
        (direct,) = (
            arm
            for arm in controls
            if arm.arm == "direct_long" and delivered_model(arm) == delivered_model(trial)
        )
        student = expand(parse_schedule(direct.schedule)).stage("student")
        assert student.soft.weight == trial.values["student.soft.weight"]
    missing = state.missing["hint_untrained"].reason
    assert missing.startswith("the schedule has no hints (for ")


def test_the_table_of_trials_says_which_model_an_arm_is_for(run) -> None:
    with (run / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["model"] for row in rows if row["arm"] == "direct_long"} == {
        f"plain {width}, 1 convs a block" for width in (2, 3, 4)
    }


def test_the_best_control_delivers_the_model_of_the_best_trial(run) -> None:
    state = read_state(run / "ledger.jsonl")
    best = best_trial(state)
    assert delivered_model(best_control(state)) == delivered_model(best)
    # What is shown while it runs says the same, by its first objective.
    counts = RunCounts(run / "ledger.jsonl")
    counts.read()
    trials = state.trials
    assert delivered_model(trials[counts.best_control.trial]) == delivered_model(
        trials[counts.best.trial]
    )


def test_a_resume_with_more_trials_adds_arms_of_models_that_are_new_on_the_front(tmp_path) -> None:
    folder = tmp_path / "run"
    dmtsearch.search(space_of(), out=folder, backend="inline", seed=0, trials=2)
    first = read_state(folder / "ledger.jsonl")
    before = front_models(first)
    assert {delivered_model(trial) for trial in first.of_controls()} == before
    dmtsearch.resume(folder, trials=6)
    state = read_state(folder / "ledger.jsonl")
    assert len(front_models(state)) == 3
    arms = [(trial.arm, delivered_model(trial)) for trial in state.of_controls("done")]
    assert len(arms) == len(set(arms)) == 2 * 3
    for number, trial in first.trials.items():
        assert state.trials[number] == trial


def front_of(count: int, objectives: dict[str, str], runs) -> RunState:
    """A state with so many models on the front; those with more parameters are more accurate."""
    trials, ends = {}, {}
    for number in range(count):
        params = 100 * (number + 1)
        stage = StageRequest("s", f"{number:064x}", (), f"plain {number}", params, 10, 1, 0, 1)
        trials[number] = TrialProposed(
            number, "search", 0, number, {}, "", (stage,), "s", params, 10, 1
        )
        values = {"val_accuracy": params / 1e4, "params": params}
        metrics = {"accuracy": params / 1e4}
        found = {name: values[name] for name in objectives}
        ends[number] = TrialEnded(number, "done", found, metrics, None, None, 1, "2026")
    return RunState(runs=(replace(runs[-1], objectives=objectives),), trials=trials, ends=ends)


def test_at_most_five_models_of_a_front_have_controls_evenly_over_their_sizes(run) -> None:
    runs = read_state(run / "ledger.jsonl").runs
    both = {"val_accuracy": "max", "params": "min"}
    numbers = [trial.trial for trial in front_trials(front_of(11, both, runs))]
    assert numbers == [10, 0, 3, 6, 9]
    assert [t.trial for t in front_trials(front_of(4, both, runs))] == [3, 0, 1, 2]
    # With one objective the front is the best trial.
    assert [t.trial for t in front_trials(front_of(11, {"val_accuracy": "max"}, runs))] == [10]
    assert front_trials(RunState()) == ()


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        pytest.param("", "", True, id="widths"),
        pytest.param("{choice: [[2], [3], [4]]}", "[2]", False, id="one model"),
        pytest.param(
            "widths: {choice: [[2], [3], [4]]}",
            "size: {params: {choice: [200, 900]}}",
            True,
            id="number of parameters",
        ),
        pytest.param(
            "widths: {choice: [[2], [3], [4]]}",
            "widths: [2], norm: {choice: [true, false]}",
            True,
            id="what is in it",
        ),
    ],
)
def test_sizes_are_searched_where_the_delivered_model_has_a_hole(old, new, found) -> None:
    assert searches_sizes(space_of(TEXT.replace(old, new))) is found


def test_check_says_that_controls_wait_for_the_front() -> None:
    (note,) = [note for note in dmtsearch.check(space_of(), time=False).notes if "front" in note]
    assert "the delivered model is searched" in note
    one = space_of(TEXT.replace("{choice: [[2], [3], [4]]}", "[2]"))
    assert not [note for note in dmtsearch.check(one, time=False).notes if "front" in note]


def test_a_relative_size_is_searched_where_one_of_its_ends_is() -> None:
    text = TEXT.replace("widths: [4]", "widths: {choice: [[4], [8]]}")
    text = text.replace(
        "  student:",
        "  least: {source: teacher, model: {family: plain, widths: [2], convs: 1}}\n  student:",
    )
    text = text.replace("source: teacher\n", "source: [teacher, least]\n")
    at = "widths: {choice: [[2], [3], [4]]}"
    between = "size: {at: 0.5, between: [teacher, least]}"
    assert searches_sizes(space_of(text.replace(at, between)))
    assert not searches_sizes(space_of(text.replace(at, "widths: [3]")))


@pytest.mark.parametrize("file", sorted(SPACES.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_spaces_deliver_one_model(file: Path) -> None:
    assert not searches_sizes(load_space(file))


def test_arms_can_have_a_delivered_model_of_relative_size(tmp_path: Path) -> None:
    text = TEXT.replace(
        "widths: {choice: [[2], [3], [4]]}", "size: {at: 0.5, between: [teacher, least]}"
    )
    text = text.replace(
        "  student:",
        "  least: {source: teacher, model: {family: plain, widths: [2], convs: 1}}\n  student:",
    )
    text = text.replace("source: teacher\n", "source: [teacher, least]\n")
    dmtsearch.search(space_of(text), out=tmp_path / "run", backend="inline", trials=1)
    state = read_state(tmp_path / "run" / "ledger.jsonl")
    (trial,) = state.of_search("done")
    controls = state.of_controls("done")
    assert {arm.arm for arm in controls} == {"scratch_long", "direct_long"}
    assert {delivered_model(arm) for arm in controls} == {delivered_model(trial)}


@pytest.mark.usefixtures("shown_at_once")
def test_a_confirmation_is_of_one_delivered_model_and_of_another_by_its_trial(run, tmp_path):
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    state = read_state(folder / "ledger.jsonl")
    best = best_trial(state)
    other = next(
        trial for trial in state.of_search() if delivered_model(trial) != delivered_model(best)
    )
    for number, trial in ((None, best), (other.trial, other)):
        store = str(tmp_path / f"store{number}")
        dmtsearch.confirm(
            folder, trial=number, looks=[5], explain=False, store=store, view=Quiet(1)
        )
        plan = json.loads((folder / "confirm.json").read_text())["plans"][-1]
        models = {delivered_model(state.trials[one]) for one in plan["candidates"]}
        assert models == {delivered_model(trial)}
        assert plan["candidates"][0] == trial.trial
        assert len(plan["candidates"]) == (2 if number is None else 1)
    assert plan["chosen"] == other.trial
    assert "scratch_long" in plan["controls"]
