"""`confirm` on a small real search, in this process."""

import csv
import importlib
import json
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confirm_pieces import Quiet, searched_inline
from scipy import stats
from typer.testing import CliRunner

import dmtsearch
from dmtsearch.cli import finish
from dmtsearch.cli.main import app
from dmtsearch.engine import RunPaths, read_state
from dmtsearch.errors import DataChangedError, DmtSearchError, UsageError
from dmtsearch.reporting import gather_confirmation
from dmtsearch.schedule import expand, parse_schedule

pytestmark = pytest.mark.engine  # starts no Ray

SPACE = """
dmtsearch: 1
name: small
search: {sampler: grid, trials: 4, controls: none}
data: {name: digits, train: 200, val: 100, test: 400}
defaults: {epochs: 1, optimizer: {name: adam, lr: 0.01, batch: 50}}
stages:
  teacher:
    model: {family: plain, widths: [4, 8], convs: 1}
  assistant:
    repeat: {int: [0, 1]}
    source: teacher
    model: {family: plain, widths: [3, 6], convs: 1}
    soft: {}
  student:
    source: assistant
    model: {family: plain, widths: [2, 4], convs: 1}
    soft: {temperature: {choice: [2, 4]}}
    hints: [{source: block1, at: block1}]
"""


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return searched_inline(tmp_path_factory.mktemp("confirm"), SPACE)


@pytest.fixture(scope="module")
def confirmed(searched: Path) -> tuple[Path, Any, list[str]]:
    run = copied(searched, "confirmed")
    view = Quiet()
    done = dmtsearch.confirm(run, top=2, looks=[5], vary=["hints"], view=view)
    return run, done, view.lines


def copied(run: Path, name: str) -> Path:
    return Path(shutil.copytree(run, run.parent / name))


def rows_of(run: Path, phase: str) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    with (run / "confirm.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["phase"] == phase:
                found.setdefault(row["arm"], []).append(row)
    return found


def trials_of(run: Path) -> list[dict[str, Any]]:
    """The confirmation's own trials, from its ledger."""
    lines = (run / "confirm" / "ledger.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line["event"] == "trial"]


def teachers_of(run: Path, wanted: Callable[[str], bool]) -> dict[str, set[int]]:
    """Keys of the first models of arms, and the seeds of the paths that each serves."""
    found: dict[str, set[int]] = {}
    for trial in trials_of(run):
        for stage in trial["stages"]:
            if stage["name"] == "teacher" and wanted(trial["arm"]):
                found.setdefault(stage["key"], set()).add(trial["seed"])
    return found


def test_the_verdict_is_what_the_table_says(confirmed: tuple[Path, Any, list[str]]) -> None:
    run, done, _ = confirmed
    found = json.loads((run / "confirm.json").read_text())
    assert done.verdict == found["verdict"]
    arms = rows_of(run, "test")
    scores = {
        arm: np.array([float(row["accuracy"]) for row in rows]) for arm, rows in arms.items()
    }
    assert {len(one) for one in scores.values()} == {5}
    for control in found["controls"]:
        difference = scores["chosen"] - scores[control["arm"]]
        expected = stats.ttest_rel(scores["chosen"], scores[control["arm"]])
        assert control["difference"] == pytest.approx(difference.mean())
        assert control["p"] == pytest.approx(expected.pvalue)
        interval = expected.confidence_interval(found["confidence"])
        assert control["interval"] == pytest.approx([interval.low, interval.high])


def test_arms_of_a_replicate_are_paired_and_no_first_model_serves_two(
    confirmed: tuple[Path, Any, list[str]],
) -> None:
    run, _, _ = confirmed
    found = json.loads((run / "confirm.json").read_text())
    arms = rows_of(run, "test")
    assert {tuple(row["seed"] for row in rows) for rows in arms.values()} == {
        tuple(str(seed) for seed in found["seeds"]["test"])
    }
    assert not set(found["seeds"]["test"]) & set(found["seeds"]["choose"])
    tested = teachers_of(run, lambda arm: not arm.startswith("choose"))
    assert len(tested) == 5
    assert {len(seeds) for seeds in tested.values()} == {1}
    # Those that only choose share one, which is never tested.
    choosing = teachers_of(run, lambda arm: arm.startswith("choose"))
    assert [len(seeds) for seeds in choosing.values()] == [3]
    assert not set(choosing) & set(tested)


def test_every_arm_costs_at_most_the_chosen_schedule_and_one_epoch_more_would_not(
    confirmed: tuple[Path, Any, list[str]],
) -> None:
    run, _, _ = confirmed
    found = json.loads((run / "confirm.json").read_text())
    for rows in rows_of(run, "test").values():
        costs = {int(row["cold_cost"]) for row in rows}
        assert len(costs) == 1
        assert costs.pop() <= found["cold_cost"]
    # From labels an epoch costs 3 MACs a sample: the bound is missed by less than one.
    scratch = next(trial for trial in trials_of(run) if trial["arm"] == "scratch_long")
    epoch = 3 * 200 * scratch["macs"]
    assert found["cold_cost"] - epoch < scratch["cold_cost"] <= found["cold_cost"]


def test_the_plan_and_each_opening_are_written_down(
    confirmed: tuple[Path, Any, list[str]],
) -> None:
    run, _, lines = confirmed
    found = json.loads((run / "confirm.json").read_text())
    (plan,) = found["plans"]
    assert plan["looks"]["at"] == [5]
    assert plan["looks"]["level"] == 0.025
    assert len(plan["candidates"]) == 2
    assert [(one["plan"], one["replicates"]) for one in found["openings"]] == [(1, 5)]
    assert found["test_n"] == 400
    said = "\n".join(lines)
    assert said.index("this plan finds a true gain") < said.index("5 replicates: ")
    assert "The test split has 400 samples" in said


def test_predictions_of_each_model_are_kept(confirmed: tuple[Path, Any, list[str]]) -> None:
    run, _, _ = confirmed
    kept = sorted((run / "confirm" / "predictions").glob("*.npy"))
    keys = {
        row["key"]
        for phase in ("test", "explain")
        for r in rows_of(run, phase).values()
        for row in r
    }
    assert {path.stem for path in kept} == keys
    assert np.load(kept[0]).shape == (400,)


def test_variants_are_explained_with_n_and_corrected_p(
    confirmed: tuple[Path, Any, list[str]],
) -> None:
    run, _, _ = confirmed
    policy = json.loads((run / "policy.json").read_text())
    assert "hints" in {one["dimension"] for one in policy}
    variants = rows_of(run, "explain")
    chosen = np.array([float(row["accuracy"]) for row in rows_of(run, "test")["chosen"]])
    for one in policy:
        other = [float(row["accuracy"]) for row in variants[f"vary {one['variant']}"]]
        assert one["effect"] == pytest.approx((chosen - np.array(other)).mean())
        assert one["n"] == 5
        assert 0 <= one["p_holm"] <= 1


def test_the_recommendation_is_the_best_that_is_not_beaten_and_trains(
    confirmed: tuple[Path, Any, list[str]], tmp_path: Path
) -> None:
    run, done, _ = confirmed
    text = (run / "recommended.yaml").read_text()
    assert f"verdict on the chosen schedule (trial {done.found['chosen']['trial']})" in text
    if done.verdict == "BEATS":
        assert done.found["recommended"] == "chosen"
    else:
        open_ones = [c for c in done.found["controls"] if c["verdict"] != "BEATS"]
        best = max(one["accuracy"] for one in open_ones)
        named = next(c for c in open_ones if c["arm"] == done.found["recommended"])
        assert named["accuracy"] >= best - 0.001
    training = dmtsearch.train(run, tmp_path / "out", store=str(tmp_path / "store"))
    assert training.deliver == "student"


def test_the_same_command_again_trains_nothing_and_says_the_same(
    confirmed: tuple[Path, Any, list[str]],
) -> None:
    run, done, _ = confirmed
    before = {
        name: (run / name).read_bytes()
        for name in ("confirm.json", "confirm.csv", "recommended.yaml", "policy.json")
    }
    ledger = (run / "confirm" / "ledger.jsonl").read_bytes()
    again = dmtsearch.confirm(run, top=2, vary=["hints"], view=Quiet())
    assert again.found == done.found
    as_begun = dmtsearch.confirm(run, explain=False, view=Quiet())  # among two again, not three
    assert as_begun.found == done.found
    assert {name: (run / name).read_bytes() for name in before} == before
    assert (run / "confirm" / "ledger.jsonl").read_bytes() == ledger


def test_further_dimensions_are_added_to_those_explained_before(
    confirmed: tuple[Path, Any, list[str]],
) -> None:
    run, _, _ = confirmed
    more = copied(run, "further")
    before = json.loads((more / "policy.json").read_text())
    dmtsearch.confirm(more, vary=["soft"], view=Quiet())
    policy = json.loads((more / "policy.json").read_text())
    assert {one["dimension"] for one in policy} == {"soft", "hints"}
    # The effects are what they were; p is corrected for the number of all variants.
    effects = {one["variant"]: one["effect"] for one in policy}
    assert all(effects[one["variant"]] == one["effect"] for one in before)
    assert all(
        one["p_holm"] >= old["p_holm"]
        for old in before
        for one in policy
        if one["variant"] == old["variant"]
    )


@pytest.mark.usefixtures("shown_at_once")
def test_after_an_interruption_a_command_goes_on_as_begun_to_the_same_end(
    searched: Path, confirmed: tuple[Path, Any, list[str]]
) -> None:
    _, done, _ = confirmed
    run = copied(searched, "interrupted")
    store = str(run.parent / "another")
    # In another store, since that of all these tests has every path by now.
    stopped = dmtsearch.confirm(
        run, top=2, looks=[5], vary=["hints"], store=store, view=Quiet(at=4)
    )
    assert stopped.stopped
    assert stopped.verdict is None
    again = dmtsearch.confirm(run, vary=["hints"], store=store, view=Quiet())
    assert not again.stopped
    assert again.found == done.found
    assert (run / "confirm.csv").read_text() == (run.parent / "confirmed/confirm.csv").read_text()


def test_more_looks_are_a_plan_of_half_the_level(searched: Path) -> None:
    run = copied(searched, "more")
    first = dmtsearch.confirm(run, top=1, looks=[5], explain=False, view=Quiet())
    second = dmtsearch.confirm(run, top=1, looks=[6], more=True, explain=False, view=Quiet())
    found = json.loads((run / "confirm.json").read_text())
    assert [plan["looks"]["level"] for plan in found["plans"]] == [0.025, 0.0125]
    assert found["plans"][0]["chosen"] == found["plans"][1]["chosen"]
    assert second.found["seeds"]["test"][:5] == first.found["seeds"]["test"]
    assert second.found["n"] == 6
    assert [(one["plan"], one["replicates"]) for one in found["openings"]] == [(1, 5), (2, 6)]


@pytest.mark.usefixtures("shown_at_once")
def test_another_trial_is_another_plan_with_seeds_of_its_own(searched: Path) -> None:
    run = copied(searched, "other")
    first = dmtsearch.confirm(run, top=1, looks=[5], explain=False, view=Quiet())
    chosen = first.found["chosen"]["trial"]
    other, store = (chosen + 1) % 4, str(run.parent / "empty3")
    second = dmtsearch.confirm(run, trial=other, looks=[5], store=store, view=Quiet(at=1))
    assert second.stopped
    plans = json.loads((run / "confirm.json").read_text())["plans"]
    assert [plan["chosen"] for plan in plans] == [chosen, other]
    assert [plan["looks"]["level"] for plan in plans] == [0.025, 0.0125]
    begun = {trial["seed"] for trial in trials_of(run) if trial["seed"] > plans[1]["first_seed"]}
    assert begun
    assert not begun & set(first.found["seeds"]["test"])


def test_effects_of_a_schedule_that_was_chosen_before_are_not_those_of_another(
    confirmed: tuple[Path, Any, list[str]],
) -> None:
    first, done, _ = confirmed
    run = copied(first, "stale")
    assert json.loads((run / "policy.json").read_text())
    other = (done.found["chosen"]["trial"] + 1) % 4
    again = dmtsearch.confirm(run, trial=other, looks=[5], explain=False, view=Quiet())
    assert again.found["chosen"]["trial"] == other
    assert not (run / "policy.json").exists()
    # More looks are those of the last plan, though its trial is not the best.
    with pytest.raises(UsageError, match="--more looks past 5 replicates"):
        dmtsearch.confirm(run, looks=[5], more=True, view=Quiet())


def test_a_kill_between_two_files_loses_no_row(
    searched: Path, confirmed: tuple[Path, Any, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, driver = copied(searched, "between"), sys.modules["dmtsearch.engine.confirm"]
    write = driver.write_confirmation

    def write_and_die(paths: Any, found: Any) -> None:
        write(paths, found)
        if found.plan.chosen is not None:
            raise KeyboardInterrupt

    monkeypatch.setattr(driver, "write_confirmation", write_and_die)
    with pytest.raises(KeyboardInterrupt):
        dmtsearch.confirm(run, top=2, looks=[5], explain=False, view=Quiet())
    assert rows_of(run, "choose") == rows_of(confirmed[0], "choose") != {}


@pytest.mark.usefixtures("shown_at_once")
def test_a_search_that_goes_on_changes_no_control_of_a_plan_that_was_begun(
    searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, store = copied(searched, "longer"), str(searched.parent / "empty4")
    best = expand(parse_schedule((run / "best_schedule.yaml").read_text(), "best"))
    stage = best.stage("student")
    one_hop = replace(stage, soft=replace(stage.soft, temperature=8.0))
    monkeypatch.setattr("dmtsearch.engine.confirm_trials.Searched.one_hop", lambda self: one_hop)
    begun = dmtsearch.confirm(run, trial=3, looks=[5], store=store, view=Quiet(at=1))
    assert begun.stopped
    # Meanwhile another trial of one hop is the best: with it best_direct is direct_long.
    monkeypatch.setattr("dmtsearch.engine.confirm_trials.Searched.one_hop", lambda self: None)
    found = dmtsearch.confirm(run, store=store, explain=False, view=Quiet()).found
    assert [one["arm"] for one in found["controls"]] == [
        "scratch_long", "direct_long", "best_direct",
    ]  # fmt: skip
    schedules = {trial["schedule"] for trial in trials_of(run) if trial["arm"] == "best_direct"}
    temperatures = {
        expand(parse_schedule(text, "best_direct")).stage("student").soft.temperature
        for text in schedules
    }
    assert temperatures == {8.0}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"trial": 99}, "no finished trial of the search has this number"),
        ({"top": 9}, r"4 finished trials; give --top 4 or fewer, .* resume .* --trials 9"),
        ({"top": 0}, "--top must be at least 1"),
        ({"students": 0}, "--students must be 1 to 8, got 0"),
        ({"looks": [3]}, "the first at least 5"),
        ({"vary": ["colour"]}, "there are middle_models, sizes, sources, hints"),
        ({"backend": "inline", "concurrency": 2}, "cannot be given with the backend"),
    ],
)
def test_what_cannot_be_confirmed_is_refused(
    searched: Path, arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        dmtsearch.confirm(searched, view=Quiet(), **arguments)
    assert not (searched / "confirm.json").exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--top", "2", "--looks", "5,8", "--vary", "hints", "--vary", "merit"),
        ("--trial", "3", "--students", "2", "--more", "--no-explain"),
        (),
    ],
)
def test_a_stopped_confirmation_says_the_whole_command_that_goes_on(
    searched: Path, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(run: Path, *_: Any, **__: Any) -> Any:
        return module.Confirmed(dmtsearch.Run(run), {}, stopped=True)

    module = importlib.import_module("dmtsearch.engine.confirm")
    monkeypatch.setattr(module, "confirm", stopped)
    shown = CliRunner().invoke(app, ["confirm", str(searched), *options])
    assert shown.exit_code == 130
    command = shlex.join(("dmtsearch", "confirm", str(searched), *options))
    assert shown.output.endswith(f"Go on with: {command}\n")


def test_a_search_that_has_ended_says_how_to_get_a_verdict(
    searched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(dmtsearch.Run(searched))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert f"dmtsearch confirm {searched}" in lines


@pytest.mark.usefixtures("shown_at_once")
def test_other_looks_than_those_begun_are_refused(searched: Path) -> None:
    run, store = copied(searched, "begun"), str(searched.parent / "empty")
    begun = dmtsearch.confirm(run, trial=3, looks=[5], store=store, view=Quiet(at=1))
    assert begun.stopped
    assert begun.verdict is None
    with pytest.raises(UsageError, match=r"looks at 5: go on with it without --looks"):
        dmtsearch.confirm(run, trial=3, looks=[6], store=store, view=Quiet())


def test_more_looks_lie_past_those_that_were(searched: Path) -> None:
    run = copied(searched, "past")
    dmtsearch.confirm(run, top=1, looks=[5], explain=False, view=Quiet())
    with pytest.raises(
        UsageError, match=r"--more looks past 5 replicates, .* got 5: leave --looks"
    ):
        dmtsearch.confirm(run, top=1, looks=[5], more=True, view=Quiet())
    with pytest.raises(UsageError, match=r"its looks were at 5: to look further give --more"):
        dmtsearch.confirm(run, top=1, looks=[9], view=Quiet())


@pytest.mark.usefixtures("shown_at_once")
def test_status_and_summary_say_where_a_confirmation_is(
    searched: Path, confirmed: tuple[Path, Any, list[str]]
) -> None:
    begun = copied(searched, "in_between")
    dmtsearch.confirm(
        begun, trial=3, looks=[5], store=str(begun.parent / "empty2"), view=Quiet(at=1)
    )
    shown = CliRunner().invoke(app, ["status", str(begun)]).output
    assert "confirm   begun, and not at its end" in shown
    assert f"Next: dmtsearch confirm {begun}" in " ".join(shown.split())
    assert json.loads((begun / "summary.json").read_text())["verdict"] is None

    run, done = copied(confirmed[0], "resumed"), confirmed[1]
    dmtsearch.resume(run, trials=4, view=Quiet())  # writes the search's tables again
    summary = json.loads((run / "summary.json").read_text())
    assert summary["verdict"] == done.verdict
    assert summary["recommended"] == done.found["recommended"]
    shown = " ".join(CliRunner().invoke(app, ["status", str(run)]).output.split())
    assert " ".join(f"confirm {done.answer}".split()) in shown


def test_a_run_in_which_nothing_has_ended_is_refused_with_the_command(searched: Path) -> None:
    run = copied(searched, "early")
    lines = (run / "ledger.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["event"] in ("run", "trial")]
    (run / "ledger.jsonl").write_text("".join(kept))
    command = rf"no trial has finished.* go on with dmtsearch resume {run}"
    with pytest.raises(UsageError, match=command):
        dmtsearch.confirm(run, view=Quiet())


def test_a_test_split_that_shows_nothing_is_refused_with_the_command(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE.replace("test: 400", "test: 40"))
    run = tmp_path / "run"
    dmtsearch.search(
        tmp_path / "space.yaml",
        out=run,
        trials=1,
        store=str(tmp_path / "store"),
        backend="inline",
        view=Quiet(),
    )
    with pytest.raises(UsageError, match=r"has 40 samples: .* --set data\.test=113 --out"):
        dmtsearch.confirm(run, view=Quiet())
    # A schedule that learns from nothing, and by nothing else, has nothing to be compared with.
    student = "  student:\n    model: {family: plain, widths: [2, 4], convs: 1}\n"
    alone = SPACE[: SPACE.index("  teacher:")] + student + "    keep: {choice: [last, best]}\n"
    (tmp_path / "alone.yaml").write_text(alone.replace("trials: 4", "trials: 1"))
    run = tmp_path / "alone"
    dmtsearch.search(
        tmp_path / "alone.yaml",
        out=run,
        store=str(tmp_path / "store"),
        backend="inline",
        view=Quiet(),
    )
    with pytest.raises(
        UsageError, match=r"trial 0 has no control .* dmtsearch search .*alone/space"
    ):
        dmtsearch.confirm(run, view=Quiet())  # among all that there are, one
    assert not (run / "confirm.json").exists()


def test_a_run_of_an_older_version_is_confirmed_and_what_is_not_known_of_it_is_said(
    searched: Path,
) -> None:
    run = copied(searched, "older")
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**info, "data": None}))
    lines = [json.loads(line) for line in (run / "ledger.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("cost_spent", None)
    (run / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    view = Quiet()
    done = dmtsearch.confirm(run, top=2, looks=[5], explain=False, view=view)
    assert done.verdict is not None
    assert any("made by an older version" in line for line in view.lines)


def test_a_replicate_in_which_a_training_fails_is_replaced(
    searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "losses_that_fail.py").write_text(FAILING)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    own = "soft: {loss: 'losses_that_fail:matched', temperature: {choice: [2, 4]}}"
    text = SPACE.replace("soft: {temperature: {choice: [2, 4]}}", own).replace(
        "trials: 4", "trials: 1"
    )
    (tmp_path / "space.yaml").write_text(text)
    run, store = tmp_path / "run", str(tmp_path / "store")
    dmtsearch.search(tmp_path / "space.yaml", out=run, store=store, backend="inline", view=Quiet())
    other = copied(run, "other")
    (tmp_path / "failures").write_text("1")
    done = dmtsearch.confirm(run, top=1, looks=[5], explain=False, view=Quiet())
    ends = [json.loads(line) for line in (run / "confirm/ledger.jsonl").read_text().splitlines()]
    assert [line["status"] for line in ends if line["event"] == "end"].count("failed") == 1
    seeds, tried = done.found["seeds"]["test"], {trial["seed"] for trial in trials_of(run)}
    assert (len(seeds), len(tried)) == (5, 6)
    assert tried > set(seeds)
    text = (run / "confirm.csv").read_text() + (run / "confirm.json").read_text()
    assert "nan" not in text.lower()
    # Where too many fail it says which training and what to do.
    (tmp_path / "failures").write_text("1000")
    with pytest.raises(DmtSearchError, match=r"only 0 of 10 replicates .* --trial N"):
        dmtsearch.confirm(other, top=1, looks=[5], store=str(tmp_path / "new"), view=Quiet())


FAILING = """
import torch
from pathlib import Path

def matched(student, source, labels, temperature):
    left = int(Path("failures").read_text()) if Path("failures").exists() else 0
    if left and len(student) == 50:
        Path("failures").write_text(str(left - 1))
        return (student * float("nan")).mean(dim=1)
    return (student - source).square().mean(dim=1)
"""


def test_a_damaged_plan_is_refused_in_a_sentence(searched: Path) -> None:
    run = copied(searched, "damaged")
    (run / "confirm.json").write_text('{"plans": 3}')
    with pytest.raises(UsageError, match=r"confirm\.json: damaged"):
        dmtsearch.confirm(run, view=Quiet())


def test_a_folder_that_recommends_nothing_is_no_schedule(searched: Path, tmp_path: Path) -> None:
    run = copied(searched, "unsaid")
    (run / "recommended.yaml").unlink()
    with pytest.raises(UsageError, match="make it with dmtsearch confirm"):
        dmtsearch.train(run, tmp_path / "out")
    with pytest.raises(UsageError, match="a folder that is no run"):
        dmtsearch.train(tmp_path, tmp_path / "out")


def test_the_command_shows_the_table_and_the_answer(
    confirmed: tuple[Path, Any, list[str]],
) -> None:
    run, done, _ = confirmed
    shown = CliRunner().invoke(app, ["confirm", str(run), "--top", "2", "--vary", "hints"])
    assert shown.exit_code == 0, shown.output
    flat = " ".join(shown.output.split())
    assert " ".join(done.answer.split()) in flat
    assert f"dmtsearch train {run}" in flat
    found = CliRunner().invoke(app, ["confirm", str(run), "--top", "2", "--no-explain", "--json"])
    assert json.loads(found.output[found.output.index("{") :])["verdict"] == done.verdict


def test_the_training_of_a_given_first_model_counts_in_no_arm(
    searched: Path, tmp_path: Path
) -> None:
    bound = "controls: none, first_model: given, equal_cost: 9000000}"
    (tmp_path / "space.yaml").write_text(SPACE.replace("controls: none}", bound))
    run, store = tmp_path / "run", str(searched.parent / "store")
    dmtsearch.search(tmp_path / "space.yaml", out=run, store=store, backend="inline", view=Quiet())
    done = dmtsearch.confirm(run, top=1, looks=[5], explain=False, view=Quiet())
    with (run / "trials.csv").open(newline="") as file:
        costs = {int(row["trial"]): row["cold_cost"] for row in csv.DictReader(file)}
    arms = rows_of(run, "test")
    assert {row["cold_cost"] for row in arms["chosen"]} == {costs[done.found["chosen"]["trial"]]}
    assert all(int(row["cold_cost"]) <= 9_000_000 for rows in arms.values() for row in rows)

    # One first model serves all replicates, which are students of it, and all words say so.
    (seeds,) = teachers_of(run, lambda arm: True).values()
    assert seeds >= set(done.found["seeds"]["test"])
    assert done.found["first_model"] == "given"
    assert "for this teacher" in json.loads((run / "confirm.json").read_text())["answer"]
    assert "for this teacher" in (run / "recommended.yaml").read_text()
    with pytest.raises(UsageError, match="the first model is given"):
        dmtsearch.confirm(copied(run, "given2"), trial=0, students=2, view=Quiet())


def test_students_share_their_teacher_and_the_test_is_over_teachers(searched: Path) -> None:
    run = copied(searched, "students")
    done = dmtsearch.confirm(run, top=1, looks=[5], students=2, explain=False, view=Quiet())
    found = json.loads((run / "confirm.json").read_text())
    assert (found["students"], found["plans"][0]["students"], found["n"]) == (2, 2, 5)
    assert "n = 5 teachers, means of 2 students each" in done.answer
    teachers = teachers_of(run, lambda arm: True)
    assert [len(seeds) for seeds in teachers.values()] == [2] * 5
    rows = rows_of(run, "test")
    means = {
        arm: np.array(
            [float(r["accuracy"]) for r in sorted(ten, key=lambda r: int(r["replicate"]))]
        )
        .reshape(5, 2)
        .mean(axis=1)
        for arm, ten in rows.items()
    }
    for control in found["controls"]:
        expected = stats.ttest_rel(means["chosen"], means[control["arm"]])
        assert control["p"] == pytest.approx(expected.pvalue)
        assert control["n"] == 5
    # A report reads the same means.
    kept = gather_confirmation(
        RunPaths(run), tuple(read_state(run / "ledger.jsonl").trials.values())
    )
    assert list(kept.scores["chosen"].values()) == pytest.approx(list(means["chosen"]))
    with pytest.raises(UsageError, match=r"has 2 students .* go on with it without --students"):
        dmtsearch.confirm(run, top=1, students=3, view=Quiet())


def test_data_that_has_changed_since_the_search_is_refused(searched: Path) -> None:
    run = copied(searched, "changed")
    info = json.loads((run / "run.json").read_text())
    info["data"]["fingerprint"] = "0" * 64
    (run / "run.json").write_text(json.dumps(info))
    with pytest.raises(DataChangedError, match="not what this run began with"):
        dmtsearch.confirm(run, view=Quiet())
