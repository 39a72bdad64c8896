"""`recommended.yaml` of a search that is not confirmed: the best by val, of one size."""

import csv

import pytest
from made_search import arm_schedule, control, try_weight

import dmtsearch
from dmtsearch.engine import RunPaths, Tables, read_state
from dmtsearch.reporting import answer
from dmtsearch.schedule import load_schedule, parse_schedule


def write_tables(run):
    """What a driver writes beside the ledger."""
    paths = RunPaths(run.root)
    Tables(paths, ["student.soft.weight"]).write(read_state(paths.ledger))
    return paths.recommended


def test_a_control_arm_above_every_trial_is_recommended_and_said_to_be_unconfirmed(tiny):
    run = tiny()
    control(run, "direct_long", 0, 0.95)
    try_weight(run, 0.3, 0.90)
    written = write_tables(run)
    first, second = written.read_text().splitlines()[:2]
    assert first.startswith("# the control arm direct_long: the best by val")
    assert second == f"# not confirmed; for a verdict on fresh seeds: dmtsearch confirm {run.root}"
    assert load_schedule(written).name == arm_schedule("direct_long").name


def test_an_arm_counts_by_its_mean_over_seeds(tiny):
    run = tiny()
    for seed, accuracy in enumerate((0.95, 0.80, 0.80)):
        control(run, "scratch", seed, accuracy)
    trial = try_weight(run, 0.3, 0.90)
    assert write_tables(run).read_text().startswith(f"# trial {trial.trial}: the best by val")


def test_an_arm_with_a_model_of_another_size_does_not_count(tiny):
    run = tiny()
    teacher = arm_schedule("direct")
    larger = run.propose("direct_long", teacher, {}, 0)
    stage = next(one for one in larger.stages if one.name == "teacher")
    assert stage.params > larger.params
    trial = try_weight(run, 0.3, 0.90)
    run.end(larger, "done", 0.99)
    text = run.paths.ledger.read_text().replace(f'"params": {larger.params}', '"params": 99999', 2)
    run.paths.ledger.write_text(text)
    assert write_tables(run).read_text().startswith(f"# trial {trial.trial}: the best by val")


def test_what_confirm_wrote_is_left_as_it_is(tiny):
    run = tiny()
    try_weight(run, 0.3, 0.90)
    written = RunPaths(run.root).recommended
    written.write_text("# a verdict\n# made by dmtsearch confirm; train it\nname: x\n")
    write_tables(run)
    assert written.read_text().endswith("name: x\n")


LARGER = """
dmtsearch: 1
name: direct_long
data: {name: fashion_mnist, train: 6000, val: 10000}
stages:
  teacher: {model: {family: plain, widths: [16, 32]}}
  least: {source: teacher, model: {family: plain, widths: [4, 8]}}
  student:
    source: [teacher, least]
    model: {family: plain, size: {at: 0.5, between: [teacher, least]}}
"""


@pytest.mark.usefixtures("quick_figures")
def test_arms_of_several_delivered_models_are_never_averaged_or_compared(tiny):
    run = tiny()
    try_weight(run, 0.3, 0.90)
    own = control(run, "direct_long", 0, 0.85)
    run.finish(other := run.propose("direct_long", parse_schedule(LARGER), {}, 0), 0.99)
    page = dmtsearch.report(run.stop(), out=run.root / "report")
    arms = [arm for arm in page.summary.arms if arm.name == "direct_long"]
    assert [(arm.params, arm.spread.mean) for arm in arms] == [
        ((other.params, other.params), pytest.approx(0.99)),
        ((own.params, own.params), pytest.approx(0.85)),
    ]
    assert other.params > own.params
    assert len({arm.label for arm in arms}) == 2
    words = answer(page.summary)
    assert "control arms of other sizes are not compared with it: direct_long (" in words
    assert "85.00 %" in words
    assert "99.00 %" not in words
    # Of many only the sizes are named.
    for name in ("scratch_long", "assistant", "fitnet"):
        run.finish(run.propose(name, parse_schedule(LARGER), {}, 0), 0.5)
    words = answer(dmtsearch.report(run.stop(), out=run.root / "again").summary)
    assert f"not compared with it: those with {other.params:,} parameters." in words
    with (page.folder / "arms.csv").open(newline="") as file:
        models = {row["trial"]: row["model"] for row in csv.DictReader(file)}
    assert models[str(own.trial)] != models[str(other.trial)]
