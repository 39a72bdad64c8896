"""A simulated search requests, and runs, what a real one does; its hours follow from slots."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import dmtsearch
from dmtsearch.engine import SAMPLERS, open_run, plan_search, run_by_clock, simulate_search
from dmtsearch.errors import ScheduleError
from dmtsearch.space import Space, parse_space

TEXT = """
dmtsearch: 1
name: shared
search: {sampler: random, trials: 6, controls: [scratch_long, direct_long], equal_cost: true}
data: {name: digits, train: 100, val: 50}
defaults: {epochs: 1, optimizer: {name: adam, batch: 50}}
stages:
  teacher:
    model: {family: plain, widths: [4, 8], convs: 1}
  assistant:
    source: teacher
    model: {family: plain, widths: {choice: [[2, 6], [3, 6]]}, convs: 1}
    hints: [{source: block1, at: block1}]
    hint_phase: {epochs: 1}
    soft: {weight: {choice: [0.4, 0.6]}}
  student:
    source: assistant
    model: {family: plain, widths: [2, 4], convs: 1}
    optimizer: {lr: {choice: [0.001, 0.003]}}
"""


def only_hints(job, hints_are_there: bool) -> float:
    return 0.0 if hints_are_there else 60.0


def one_minute(job, hints_are_there: bool) -> float:
    return 60.0


def shared(**search: str) -> Space:
    text = TEXT
    for name, value in search.items():
        text = text.replace("search: {", f"search: {{{name}: {value}, ", 1)
    return parse_space(text, "shared.yaml")


def simulated(space: Space, seed: int = 4):
    context = open_run(space, space.anchor(), str(Path.cwd()))
    return simulate_search(space, context, trials=None, seed=seed)


def test_what_is_run_is_what_a_search_of_the_same_seed_runs(tmp_path: Path) -> None:
    run = dmtsearch.search(
        shared(), out=tmp_path / "run", store=tmp_path / "store", seed=4, backend="inline"
    )
    planned = dmtsearch.plan(shared(), seed=4, time=False).as_dict()
    sharing = run.summary["sharing"]
    # Assistants that differ in their soft weight share a hint phase.
    for name in ("stages_requested", "stages_run", "epochs_requested", "epochs_run"):
        assert planned[name] == sharing[name], name
    assert (planned["cost_requested"], planned["cost_run"]) == (
        sharing["cost_requested"], sharing["cost_run"],
    )  # fmt: skip
    assert planned["trials"] == len(run.trials[run.trials.arm == "search"]) == 6
    assert planned["controls"] == 2
    assert planned["stages_run"] < planned["stages_requested"]
    assert not planned["stand_ins"]


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_seed_gives_one_plan(sampler: str) -> None:
    space = parse_space(TEXT.replace("random", sampler), "shared.yaml")
    first, again = (dmtsearch.plan(space, seed=1, time=False) for _ in range(2))
    assert first == again
    assert first.stand_ins == (sampler == "tpe")


def test_a_plan_of_many_trials_draws_the_later_ones_at_random(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dmtsearch.engine.simulation.LEARNED", 5)
    space = parse_space(
        TEXT.replace("random, trials: 6", "tpe, trials: 9")
        .replace("[scratch_long, direct_long]", "none")
        .replace("choice: [0.001, 0.003]", "log: [0.0001, 0.1]"),
        "shared.yaml",
    )
    drawn: list[str] = []
    for name in ("tpe", "random"):
        make = SAMPLERS[name]

        def counted(seed: int, name: str = name, make=make):
            drawn.append(name)
            return make(seed)

        monkeypatch.setitem(SAMPLERS, name, counted)
    found = dmtsearch.plan(space, seed=1, time=False)
    assert (found.trials, found.at_random) == (9, 4)
    # One opens the study; then one is made for each draw, and one for each result.
    assert drawn == ["random", *["tpe"] * 2 * 5, *["random"] * 2 * 4]


def test_stages_run_at_once_where_there_are_slots_and_wait_for_their_sources() -> None:
    found = simulated(shared())
    alone, ran = run_by_clock(found, 1, one_minute)
    many, _ = run_by_clock(found, 64, one_minute)
    assert set(ran) == {stage.key for stage in found.requested}
    assert alone == pytest.approx(60 * len(ran))
    # A teacher, an assistant and a student one after the other, however many slots there are.
    assert many == pytest.approx(180)
    assert many < run_by_clock(found, 2, one_minute)[0] < alone


def test_a_hint_phase_that_stages_share_is_run_once() -> None:
    found = simulated(shared())
    keys = [job.keys.hint_key for job in found.jobs.values() if job.keys.hint_key]
    shared_by = len(keys) - len(set(keys))
    assert shared_by > 0
    _, ran = run_by_clock(found, 1, one_minute)
    assert sum(ran.values()) == len(set(keys))
    took_s, _ = run_by_clock(found, 1, only_hints)
    assert took_s == pytest.approx(60 * len(set(keys)))


def test_a_plan_says_what_confirm_costs_by_how_far_it_goes() -> None:
    found = dmtsearch.plan(shared(), seed=4, time=False).confirm
    first, last, explained = (found[name] for name in ("first_look", "last_look", "explained"))
    # Three candidates on three seeds; then the chosen one and its controls, 5 and 16 times.
    arms, rest = divmod(last.paths - first.paths, 11)
    assert (rest, first.paths) == (0, 9 + 5 * arms)
    assert first.cost < last.cost < explained.cost
    assert first.hours is None


DIRECT = """
dmtsearch: 1
name: direct
search: {sampler: grid, trials: 2, controls: none, first_model: trained}
data: {name: digits, train: 100, val: 50}
defaults: {epochs: 1, optimizer: {name: adam, batch: 50}}
stages:
  teacher:
    model: {family: plain, widths: [4, 8], convs: 1}
  student:
    source: teacher
    model: {family: plain, widths: [2, 4], convs: 1}
    soft: {}
    optimizer: {lr: {choice: [0.001, 0.003]}}
"""


@pytest.mark.parametrize("first_model", ["trained", "given"])
def test_a_first_model_is_paid_once_to_choose_by_and_not_at_all_where_it_is_given(
    first_model: str,
) -> None:
    space = parse_space(DIRECT.replace("trained", first_model), "direct.yaml")
    costs = {one.request.name: one.request.cost for one in simulated(space).requested}
    paid = costs["teacher"] if first_model == "trained" else 0
    found = dmtsearch.plan(space, seed=4, time=False).confirm
    replicate, rest = divmod(found["last_look"].cost - found["first_look"].cost, 11)
    assert rest == 0
    # Two candidates on three seeds.
    assert found["first_look"].cost - 5 * replicate == paid + 6 * costs["student"]
    # The chosen schedule, and the student from labels alone for as much.
    path = paid + costs["student"]
    assert path < replicate <= 2 * path


def test_a_machine_holds_what_its_stages_ask_for() -> None:
    text = TEXT.replace(
        "model: {family: plain, widths: [4, 8]",
        "resources: {cpu: 4, label: big}\n    model: {family: plain, widths: [4, 8]",
    )
    found = simulated(parse_space(text, "shared.yaml"))
    assert run_by_clock(found, 1, one_minute)[0] > 0


def test_hours_come_from_what_was_timed() -> None:
    space = shared(first_model="trained")
    context = open_run(space, space.anchor(), str(Path.cwd()))
    found = plan_search(space, context, slots=(1, 8), timed=True)
    one, eight = found.by_slots[1], found.by_slots[8]
    assert 0 < (eight or 0) <= (one or 0) < 1
    times = found.times
    assert times is not None
    plan = context.resolve(space.anchor())
    stage = plan.stage("student")
    longer = replace(stage, stage=replace(stage.stage, epochs=100 * stage.stage.epochs))
    assert times.seconds(longer) > times.seconds(stage) > 0
    hinted = plan.stage("assistant")
    assert times.seconds(hinted, hints_are_there=True) < times.seconds(hinted)
    json.dumps(found.as_dict(), allow_nan=False)


def test_a_space_of_which_nothing_can_be_tried_has_no_plan() -> None:
    with pytest.raises(ScheduleError, match="params"):
        dmtsearch.plan(shared(constraints="{params: {max: 1}}"), time=False)


def test_a_confirmation_of_selectors_has_a_price_too() -> None:
    text = (
        "dmtsearch: 1\nname: eyes\nsearch: {trials: 2, sampler: grid}\n"
        "data: {name: synthetic_eyes, args: {identities: 4, images: 20}}\n"
        "defaults: {optimizer: {batch: 16}}\n"
        "stages:\n"
        "  iris: {modality: iris, model: {family: plain, widths: [2, 4]}}\n"
        "  eye: {modality: periocular, model: {family: plain, widths: [2, 4]}}\n"
        "  selector:\n    select: [iris, eye]\n    k: 3\n    model: {family: mlp, hidden: []}\n"
        "    decision: {choice: [hard, soft]}\n"
    )
    found = dmtsearch.plan(parse_space(text, "eyes.yaml"), time=False).confirm
    # Two to choose from on 3 seeds; the chosen selector and the other trial's at 16 looks.
    assert found["last_look"].paths == 3 * 2 + 16 * 2
    assert found["explained"].paths > found["last_look"].paths
