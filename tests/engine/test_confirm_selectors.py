"""`confirm` of a small real search of selectors, in this process."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from confirm_pieces import Quiet, searched_inline

import dmtsearch
from dmtsearch.errors import UsageError
from dmtsearch.reporting import answer, instead_words, read_run, summarize

pytestmark = pytest.mark.engine  # starts no Ray

SPACE = """
dmtsearch: 1
name: eyes
search: {sampler: grid, trials: 4, controls: none}
data: {name: synthetic_eyes, args: {identities: 4, images: 30}, test: 50, val: 20, selector: 20}
defaults: {epochs: 1, optimizer: {name: adam, lr: 0.01, batch: 16}}
stages:
  iris:
    modality: iris
    model: {family: plain, widths: {choice: {a: [2, 4], b: [3, 4]}}, convs: 1}
  eye: {modality: periocular, model: {family: plain, widths: [2, 4], convs: 1}}
  selector:
    select: [iris, eye]
    k: 3
    model: {family: mlp, hidden: []}
    degrade: [{kind: noise, severity: [0.1, 1]}]
    decision: {choice: [soft, hard]}
"""
RULES = ("max_softmax", "temperature_max_softmax", "margin", "entropy", "energy", "sum_rule",
         "product_rule", "stacking", "only_iris", "only_periocular")  # fmt: skip


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return searched_inline(tmp_path_factory.mktemp("confirm"), SPACE)


@pytest.fixture(scope="module")
def confirmed(searched: Path) -> tuple[Path, list[str]]:
    run = Path(shutil.copytree(searched, searched.parent / "confirmed"))
    view = Quiet()
    dmtsearch.confirm(run, top=2, looks=[5], vary=["decision", "paper"], view=view)
    return run, view.lines


def result_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "confirm.json").read_text())
    return found


def trials_of(run: Path) -> dict[int, dict[str, str]]:
    with (run / "trials.csv").open(newline="") as file:
        return {int(row["trial"]): row for row in csv.DictReader(file)}


def rows_of(run: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (run / "confirm.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {(row["arm"], row["seed"]): row for row in rows if row["phase"] != "choose"}


def test_a_selector_is_confirmed_against_every_rule_and_each_modality_but_not_the_oracle(
    confirmed: tuple[Path, list[str]],
) -> None:
    found = result_of(confirmed[0])
    names = [one["arm"] for one in found["controls"]]
    assert sorted(n for n in names if not n.startswith("best_by_")) == sorted(RULES)
    assert found["n"] == 5
    assert found["metric"] == "accuracy with one modality degraded"


def test_the_metric_is_the_mean_over_test_with_one_modality_degraded_by_the_arms_own_rule(
    confirmed: tuple[Path, list[str]],
) -> None:
    run, _ = confirmed
    found, rows = result_of(run), rows_of(run)
    seed = str(found["seeds"]["test"][0])
    answers = np.load(run / "confirm" / "predictions" / f"{rows['chosen', seed]['key']}.npy")
    # One kind at four severities, on either modality.
    assert answers.shape == (8, found["test_n"])
    for arm, field in (("chosen", "selector"), ("sum_rule", "sum_rule"), ("only_iris",) * 2):
        assert float(rows[arm, seed]["accuracy"]) == pytest.approx(answers[field].mean())
    # While iris is degraded, the periocular classifier answers as on undegraded samples.
    alone = answers["only_periocular"].reshape(4, 2, -1)
    assert (alone[:, 0] == alone[0, 0]).all()


def test_rules_are_scored_on_the_selectors_own_outputs_and_train_nothing(
    confirmed: tuple[Path, list[str]],
) -> None:
    run, _ = confirmed
    rows = rows_of(run)
    seeds = result_of(run)["seeds"]["test"]
    for seed in map(str, seeds):
        assert {rows[rule, seed]["key"] for rule in RULES} == {rows["chosen", seed]["key"]}


def test_what_is_best_by_a_rule_is_a_control_where_its_classifiers_are_others(
    searched: Path, confirmed: tuple[Path, list[str]]
) -> None:
    run, _ = confirmed
    found, rows = result_of(run), rows_of(run)
    best = json.loads((searched / "summary.json").read_text())["selectors"]["best_by"]
    widths = {number: row["iris.model.widths"] for number, row in trials_of(run).items()}
    seed = str(found["seeds"]["test"][0])
    for rule in ("max_softmax", "sum_rule"):
        arm, other = f"best_by_{rule}", best[rule]["trial"]
        if widths[other] == widths[found["chosen"]["trial"]]:
            assert "has the chosen schedule's classifiers" in found["missing_controls"][arm]
        else:
            row = rows[arm, seed]
            answers = np.load(run / "confirm" / "predictions" / f"{row['key']}.npy")
            assert float(row["accuracy"]) == pytest.approx(answers[rule].mean())


def test_a_mixture_is_called_a_mixture_and_the_papers_own_selector_stands_beside_it(
    confirmed: tuple[Path, list[str]],
) -> None:
    run, lines = confirmed
    found = result_of(run)
    trial = found["chosen"]["trial"]
    decision = trials_of(run)[trial]["selector.decision"]
    word = {"soft": "the chosen mixture", "hard": "the chosen selector"}[decision]
    assert found["subject"] == word
    assert any("in accuracy with one modality degraded (" in line for line in lines)
    policy = json.loads((run / "policy.json").read_text())
    variants = {one["variant"]: one for one in policy}
    assert {one["n"] for one in policy} == {5}
    if decision == "soft":
        assert "the paper's own selector (topk with k 3, hard, undegraded)" in variants


def test_the_choice_is_by_the_same_metric_on_val(confirmed: tuple[Path, list[str]]) -> None:
    run, _ = confirmed
    found = result_of(run)
    with (run / "confirm.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["phase"] == "choose"]
    means: dict[int, float] = {}
    for arm in {row["arm"] for row in rows}:
        values = [float(row["accuracy"]) for row in rows if row["arm"] == arm]
        means[int(arm.removeprefix("choose_"))] = fmean(values)
    assert means[found["chosen"]["trial"]] == max(means.values())
    lines = (run / "confirm/ledger.jsonl").read_text().splitlines()
    ledger = [json.loads(line) for line in lines]
    sweep = next(one for one in ledger if one.get("key") == rows[0]["key"])["val_sweep"]["sweep"]
    one = [row["accuracy"] for row in sweep if len(row["degraded"]) == 1]
    assert float(rows[0]["accuracy"]) == pytest.approx(fmean(one))


def test_a_recommended_rule_is_said_in_words_and_a_modality_is_its_classifier(
    confirmed: tuple[Path, list[str]],
) -> None:
    run, _ = confirmed
    name, text = result_of(run)["recommended"], (run / "recommended.yaml").read_text()
    delivered = dmtsearch.load_schedule(run / "recommended.yaml")
    comment = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    assert "test accuracy with one modality degraded" in comment
    if name.startswith("only_"):
        stage = {"only_iris": "iris", "only_periocular": "eye"}[name]
        assert delivered.deliver == stage
    elif name != "chosen":
        assert "a rule without a selector" in comment
        assert "No exported file decides by a rule" in comment


def test_the_reports_answer_is_the_verdict_and_calls_costs_not_equal(
    confirmed: tuple[Path, list[str]],
) -> None:
    run, _ = confirmed
    summary = summarize(read_run(run))
    text = answer(summary)
    assert summary.confirmation.notes == ()
    assert "in accuracy with one modality degraded" in text
    assert "at equal cost" not in text
    assert "Costs are not equal" not in text
    assert summary.confirmation.effects


def test_what_to_use_instead_of_a_selector_is_said_in_words(
    confirmed: tuple[Path, list[str]],
) -> None:
    found = summarize(read_run(confirmed[0])).confirmation.found
    assert found is not None
    name = found.subject.removeprefix("the chosen ")
    for arm, words in {
        "chosen": f"Yes: the {name} of trial {found.chosen.trial}; ",
        "only_iris": f"No: use iris alone. The {name} was worse.",
        "sum_rule": "No: use the rule sum rule between the same classifiers, without a selector: "
        f"class probabilities are added, and the largest sum decides. The {name} was worse.",
        "best_by_max_softmax": "No: use max-softmax between the classifiers that are best by it: ",
    }.items():
        assert instead_words(replace(found, recommended=arm), "was worse").startswith(words)


def test_students_are_refused_for_selectors(searched: Path) -> None:
    with pytest.raises(UsageError, match="a first model for each modality"):
        dmtsearch.confirm(searched, students=2, view=Quiet())


def test_a_run_whose_ledger_has_no_scores_of_rules_is_refused_in_a_sentence(
    searched: Path,
) -> None:
    run = Path(shutil.copytree(searched, searched.parent / "scoreless"))
    lines = [json.loads(line) for line in (run / "ledger.jsonl").read_text().splitlines()]
    kept = [{**line, "val_sweep": {}} if line.get("val_sweep") else line for line in lines]
    (run / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))
    with pytest.raises(UsageError, match=r"no selector's scores on val .* search anew"):
        dmtsearch.confirm(run, trial=0, looks=[5], view=Quiet())
