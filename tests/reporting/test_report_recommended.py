"""`recommended.yaml` of a search that is not confirmed: the best by val, of one size."""

from made_search import arm_schedule, control, try_weight

from dmtsearch.engine import RunPaths, Tables, read_state
from dmtsearch.schedule import load_schedule


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
