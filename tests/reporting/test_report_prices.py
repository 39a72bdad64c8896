"""Both prices of what is recommended, and for how many students its first model pays."""

import json

import pytest
from made_search import arm_schedule, control, try_weight

import dmtsearch
from dmtsearch.engine import RunPaths, Tables, read_state
from dmtsearch.reporting import read_run, summarize


def scratch(run, *values):
    """A finished run of `scratch_long` with this learning curve; its last value is its score.

    None is an epoch that was not validated.
    """
    trial = run.propose("scratch_long", arm_schedule("scratch_long"), {}, 0)
    rows = [
        {"phase": "train", "epoch": n, **({} if v is None else {"val_accuracy": v})}
        for n, v in enumerate(values, 1)
    ]
    (stage,) = trial.stages
    run.stage(stage, trial.trial, values[-1], history=tuple(rows))
    run.end(trial, "done", values[-1])
    return trial


def prices_of(run):
    return summarize(read_run(run.stop())).prices


def test_a_first_model_pays_from_so_many_students_on(tiny):
    run = tiny()
    trial = try_weight(run, 0.3, 0.90)
    teacher, student = trial.stages
    alone = scratch(run, *[0.5] * 25, *[0.9] * 2, *[0.6] * 3)
    prices = prices_of(run)
    assert (prices.trained, prices.given) == (teacher.cost + student.cost, student.cost)
    # Labels alone reach 90 % in their 26th epoch of 30.
    price = alone.cold_cost * 26 / 30
    assert student.cost < price
    count = prices.students
    assert teacher.cost + count * student.cost < count * price
    assert teacher.cost + (count - 1) * student.cost >= (count - 1) * price
    start = f"From {count} students of one first model on it costs less than labels alone: its"
    assert prices.words.startswith(f"{start} val accuracy of 90.00 % takes 26 epochs and ")
    assert "(scratch_long, n = 1 seed)" in prices.words


def test_an_accuracy_is_reached_at_the_first_validated_epoch_that_shows_it(tiny):
    run = tiny()
    try_weight(run, 0.3, 0.90)
    scratch(run, *[None] * 9, 0.5, *[None] * 9, 0.9, *[None] * 9, 0.9)
    assert "val accuracy of 90.00 % takes 20 epochs and " in prices_of(run).words


def test_a_student_that_costs_more_than_labels_alone_never_pays(tiny):
    run = tiny()
    try_weight(run, 0.3, 0.90)
    scratch(run, 0.9, *[0.6] * 29)
    prices = prices_of(run)
    assert prices.students is None
    assert prices.words.startswith("However many students one first model has, it does not cost")


@pytest.mark.parametrize(
    ("curve", "sentence"),
    [
        pytest.param(
            [0.5] * 30,
            "cannot be told: from labels alone (scratch_long, n = 1 seed) its val accuracy of "
            "90.00 % is not reached in 30 epochs, at most 50.00 %.",
            id="not reached",
        ),
        pytest.param(None, "cannot be told: no run from labels alone delivers this", id="no arm"),
    ],
)
def test_where_it_cannot_be_told_a_sentence_says_why(tiny, curve, sentence):
    run = tiny()
    try_weight(run, 0.3, 0.90)
    if curve:
        scratch(run, *curve)
    else:
        control(run, "direct", 0, 0.5)
    prices = prices_of(run)
    assert prices.students is None
    assert sentence in prices.words


def test_labels_alone_have_no_first_model_to_pay_for(tiny):
    run = tiny()
    try_weight(run, 0.3, 0.80)
    scratch(run, *[0.9] * 30)
    prices = prices_of(run)
    assert prices.trained == prices.given
    assert prices.words == "It learns from labels alone: there is no first model to pay for."


@pytest.mark.usefixtures("quick_figures")
def test_pages_and_summary_have_both_prices(tiny):
    run = tiny()
    trial = try_weight(run, 0.3, 0.90)
    scratch(run, None, *[0.5] * 24, None, None, *[0.9] * 3)
    written = dmtsearch.report(run.stop(), out=run.root / "report")
    text = (written.folder / "report.md").read_text()
    assert text.count("where the first model is given") == 3  # tile, schedule, provenance
    assert "on it costs less than labels alone" in text
    paths = RunPaths(run.root)
    Tables(paths, ["student.soft.weight"]).write(read_state(paths.ledger))
    teacher, student = trial.stages
    prices = {"trained": teacher.cost + student.cost, "given": student.cost}
    assert json.loads(paths.summary.read_text())["best"]["prices"] == prices
