"""Stages that learn by other losses than KL and MSE."""

import pytest
import torch
from training_pieces import BIG, HINT, NORMED, SMALL, pair, schedule, stage_run

from dmtsearch.errors import DmtSearchError
from dmtsearch.losses import dist_loss, dkd_loss, hard_loss, merit_weights, standardise
from dmtsearch.schedule import Dist, as_schedule, describe, expand
from dmtsearch.training import Batch

SOFT = {
    "dkd": lambda z, s, y: dkd_loss(z, s, y, temperature=2.0, alpha=1.0, beta=3.0),
    "dist": lambda z, s, y: dist_loss(z, s, temperature=2.0, beta=3.0, gamma=1.0),
}


@pytest.mark.parametrize("name", SOFT)
def test_a_stage_s_loss_is_the_named_one_with_merit_and_standardised_logits(
    bench, monkeypatch, name
):
    """The first batch's loss, term by term, against the losses called by hand."""
    soft = {"loss": name, "temperature": 2, "beta": 3, "standardise": True}
    made = pair({"soft": soft, "merit": {"rule": "delta"}, "epochs": 1})
    run, (teacher,) = stage_run(bench, made)
    seen = {}

    def first_loss(phase, workspace, listen, **more):
        batch = Batch(run.train.x, run.train.y, run.train.index, torch.arange(32))
        run.modules.eval()
        seen["parts"] = phase.losses(batch, 0, 0)
        seen["x"] = batch.seen_by(run.viewer)
        seen["y"] = batch.labels

    monkeypatch.setattr(run, "_run", first_loss)
    run.run_training(None, None)
    with torch.no_grad():
        student, source, labels = run.model(seen["x"]), teacher(seen["x"]), seen["y"]
        soft_part = SOFT[name](standardise(student), standardise(source), labels)
        weight = merit_weights(source, labels, rule="delta", increment=0.1)
        whole = (1 - weight) * hard_loss(student, labels) + weight * soft_part
    torch.testing.assert_close(seen["parts"].total.detach(), whole.mean())
    torch.testing.assert_close(seen["parts"].parts[1], soft_part.mean())


def test_attention_hints_train_without_an_adapter_between_unlike_channels(bench):
    attention = {**HINT, "loss": "attention"}
    made = pair({"hints": [attention], "hint_phase": {"epochs": 2, "then": "stay"}})
    job = bench.jobs(made)["student"]
    student = bench.run(made)["student"]
    assert student.record["hint_epochs"] == 2
    assert all(0 < row["hint"] <= 2 for row in student.record["history"])
    assert not [name for name in bench.hint_modules(job) if name.startswith("adapter")]
    assert job.resolved.hints[0].adapter == "attention"
    other = bench.jobs(pair({"hints": [HINT], "hint_phase": {"epochs": 2, "then": "stay"}}))
    assert other["student"].keys.hint_key != job.keys.hint_key


def test_attention_of_features_is_refused_where_it_is_written(bench):
    mlp = {"family": "mlp", "hidden": [4]}
    made = schedule(
        {
            "teacher": {"model": mlp},
            "student": {
                "model": mlp,
                "source": "teacher",
                "hints": [{**HINT, "loss": "attention"}],
            },
        }
    )
    with pytest.raises(DmtSearchError, match=r"attention needs two maps.*a.yaml:\d+"):
        bench.plan(made)


def test_fields_of_another_loss_that_are_inherited_are_left_out(bench):
    defaults = {"soft": {"loss": "dkd", "alpha": 2, "temperature": 3}}
    students = {"s": {"model": SMALL, "source": "teacher", "soft": {"loss": "dist"}}}
    made = schedule({"teacher": {"model": BIG}, **students}, defaults=defaults)
    soft = bench.plan(made).stage("s").stage.soft
    assert soft == Dist(loss="dist", temperature=3, beta=1)
    assert "by dist" in describe(made)


def test_other_losses_survive_the_way_back_to_a_file():
    hints = [{**HINT, "loss": "attention", "weight": 2}]
    expanded = expand(pair({"soft": {"loss": "dist", "gamma": 2}, "hints": hints}))
    assert expand(as_schedule(expanded)).stages == expanded.stages


def test_two_sources_meet_under_another_loss(bench):
    stages = {"a": {"model": BIG, "epochs": 1}, "b": {"model": NORMED, "epochs": 1}}
    soft = {"loss": "dist", "combine": "sum", "drop": 0.5, "until": 0.5}
    student = {"model": SMALL, "source": ["a", "b"], "soft": soft}
    result = bench.run(schedule({**stages, "student": student}))["student"]
    first, second = result.record["history"]
    assert first["soft"] > 0 == second["soft"]
