"""`merit.from: folds`: copies of a source, each without a fifth of the training split."""

import pytest
import torch
import training_by_hand as hand
from training_pieces import BIG, HINT, SMALL, Watcher, pair, schedule

from dmtsearch.data import crop_flip
from dmtsearch.errors import ScheduleError
from dmtsearch.training import StageContext, merit_in_store

FOLDS = {"rule": "delta", "increment": 0.3, "from": "folds"}
COPIES = [f"teacher.fold{number}" for number in range(1, 6)]


def folds_by_hand(n):
    """The fold of each sample: fifths of one drawn order, the same for every seed."""
    order = torch.randperm(n, generator=hand.generator("folds"))
    folds = torch.empty(n, dtype=torch.int64)
    for place, sample in enumerate(order.tolist()):
        folds[sample] = place * 5 // n
    return folds


class FoldArm(hand.Arm):
    """A student with merit from folds, its teacher, and that teacher's five copies."""

    def __init__(self, bench, student):
        super().__init__(bench, {"merit": FOLDS, **student})
        self.copies = [self._teacher(f"teacher0.fold{number}") for number in range(1, 6)]
        self.folds = folds_by_hand(len(self.train.y))

    def weights(self, at, x):
        logits = torch.stack([hand.outputs(copy, x) for copy in self.copies])
        judged = logits[self.folds[at], torch.arange(len(at))]
        return torch.where(judged.argmax(dim=1) == self.train.y[at], 0.8, 0.2)


def test_a_copy_is_its_source_trained_without_a_fifth_of_the_samples(bench):
    arm = FoldArm(bench, {})
    rest = hand.Images(bench.data.split("train"), bench.data.split("train"))
    kept = arm.folds != 2
    rest.x, rest.y = rest.x[kept], rest.y[kept]
    model = hand.build(BIG)
    hand.fit(
        [model],
        rest,
        lambda at, *_: hand.cross_entropy(model(rest.x[at]), rest.y[at]).mean(),
        epochs=1,
    )
    torch.testing.assert_close(
        dict(model.state_dict()),
        bench.weights(arm.results["teacher0.fold3"]),
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
def test_each_sample_is_judged_by_the_copy_that_was_not_trained_on_it(bench, augment):
    arm = FoldArm(bench, {"augment": augment})

    def loss(at, epoch, _):
        stored, index = arm.train.stored[at], arm.train.index[at]
        if augment == "crop_flip":
            stored = crop_flip(stored, seed=0, epoch=epoch, index=index)
        x = arm.train.scaled(stored)
        z, y, a = arm.model(x), arm.train.y[at], arm.weights(at, x)
        # The soft targets are those of the whole source.
        soft = hand.kl(z, hand.outputs(arm.teachers[0], x), 4)
        return ((1 - a) * hand.cross_entropy(z, y) + a * soft).mean()

    hand.fit([arm.model], arm.train, loss)
    arm.check()


def test_a_record_says_how_far_merit_is_from_a_constant_weight(bench):
    arm = FoldArm(bench, {})
    every = torch.arange(len(arm.train.y))
    weights = arm.weights(every, arm.train.x)
    most = float(weights.mode().values)
    record = arm.results["student"].record["merit"]
    assert record == {
        "n": 160,
        "mean": pytest.approx(float(weights.mean())),
        "commonest": pytest.approx(most),
        "differs": pytest.approx(float((weights != most).double().mean())),
    }
    assert 0 < record["differs"] < 0.5
    assert "merit" not in arm.results["teacher0"].record


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
@pytest.mark.parametrize("merit", [FOLDS, {"rule": "soft"}])
def test_a_check_knows_the_weights_once_the_store_has_what_they_are_made_from(
    bench, merit, augment
):
    made = pair({"merit": merit, "augment": augment, "epochs": 1})
    job = bench.jobs(made)["student"]
    context = StageContext(bench.data.split("train"), bench.data.split("val"), {})
    assert merit_in_store(job, context, bench.store) is None
    record = bench.run(made)["student"].record["merit"]
    assert merit_in_store(job, context, bench.store) == pytest.approx(record, rel=1e-6)


def test_copies_have_model_sources_epochs_and_seed_of_their_source(bench):
    stages = {
        "first": {"model": BIG, "epochs": 1},
        "teacher": {"model": BIG, "source": "first", "epochs": 3, "seed": 7, "hints": [HINT]},
        "student": {"model": SMALL, "source": "teacher", "merit": FOLDS},
    }
    jobs = bench.jobs(schedule(stages))
    assert list(jobs) == ["first", "teacher", *COPIES, "student"]
    for name in COPIES:
        copy, source = jobs[name], jobs["teacher"]
        assert (copy.seed, copy.sources) == (7, source.sources)
        assert copy.resolved.stage.epochs == 3
        assert (copy.resolved.model, copy.resolved.hints) == (
            source.resolved.model,
            source.resolved.hints,
        )
        assert copy.resolved.num_samples == 128
    assert [one.name for one in jobs["student"].sources] == ["teacher", *COPIES]
    assert len({job.keys.key for job in jobs.values()}) == 8


def test_only_stages_that_use_folds_have_other_keys(bench):
    plain = bench.jobs(pair({"merit": {"rule": "delta", "increment": 0.3}}))
    folds = bench.jobs(pair({"merit": FOLDS}))
    assert folds["teacher"].keys == plain["teacher"].keys
    assert folds["student"].keys.key != plain["student"].keys.key
    # Students that differ in merit share the copies; another teacher has others.
    hard = bench.jobs(pair({"merit": {"rule": "hard", "from": "folds"}}))
    longer = bench.jobs(pair({"merit": FOLDS}, teacher={"epochs": 2}))
    for name in COPIES:
        assert folds[name].keys == hard[name].keys != longer[name].keys
    assert folds["student"].keys.key not in (hard["student"].keys.key, longer["student"].keys.key)


@pytest.mark.parametrize(
    ("augment", "passes"), [pytest.param("none", 1, id="kept"), ("crop_flip", 2)]
)
def test_copies_are_paid_for(bench, augment, passes):
    more = {"augment": augment, "epochs": 3, "soft": {"until": 0.5}}
    plain = bench.plan(pair({"merit": {"rule": "hard"}, **more}))
    folds = bench.plan(pair({"merit": {"rule": "hard", "from": "folds"}, **more}))
    teacher = plain.stage("teacher")
    # Five trainings on four fifths of 160 samples; and each sample goes through one copy, in
    # each epoch with soft targets where it looks different every time.
    copies = 5 * 3 * teacher.macs * 128 * 1
    assert sum(folds.stage(name).cost() for name in COPIES) == copies
    extra = folds.stage("student").cost() - plain.stage("student").cost()
    assert extra == 160 * teacher.macs * passes


def test_a_placebo_under_augmentation_pays_for_its_look_at_the_views(bench):
    def cost(**merit):
        student = {"augment": "crop_flip", "merit": {"rule": "hard", **merit}}
        return bench.plan(pair(student)).stage("student").cost()

    views = 2 * 160 * bench.plan(pair({})).stage("teacher").macs
    assert cost(placebo="mean") == cost() + views
    assert cost(**{"placebo": "mean", "from": "folds"}) == cost(**{"from": "folds"})


def test_a_source_at_an_earlier_epoch_is_judged_by_its_copies_at_that_epoch(bench):
    student = {"merit": FOLDS, "source": {"stage": "teacher", "epoch": 1}}
    jobs = bench.jobs(pair(student, teacher={"epochs": 2}))
    for name in COPIES:
        (snapshot,) = jobs[name].snapshots
        assert snapshot.epoch == 1
        assert snapshot.key in [one.key for one in jobs["student"].sources]


def test_what_a_source_goes_on_from_is_copied_too_since_it_has_seen_the_fold(bench):
    stages = {
        "start": {"model": BIG},
        "teacher": {"model": BIG, "init": "start"},
        "student": {"model": SMALL, "source": "teacher", "merit": FOLDS},
    }
    jobs = bench.jobs(schedule(stages))
    starts = {jobs[name].init.key for name in COPIES}
    assert starts == {jobs[f"start.fold{number}"].keys.key for number in range(1, 6)}


def test_merit_from_folds_at_two_hops_judges_copies_with_the_same_copies(bench):
    stages = {
        "teacher": {"model": BIG},
        "middle": {"model": BIG, "source": "teacher", "merit": FOLDS},
        "student": {"model": SMALL, "source": "middle", "merit": FOLDS},
    }
    made = schedule(stages)
    jobs = bench.jobs(made)
    assert len(jobs) == 3 + 5 + 5
    judges = [one.name for one in jobs["middle.fold2"].sources]
    assert judges == ["teacher", *COPIES]
    assert bench.run(made)["student"].record["merit"]["n"] == 160


def test_an_interrupted_student_with_folds_goes_on_as_if_unbroken(bench, tmp_path):
    made = pair({"merit": FOLDS, "augment": "crop_flip", "epochs": 3})
    whole = bench.weights(bench.run(made)["student"])
    broken = bench.fresh(tmp_path / "other", save_every_s=0.0)
    jobs = broken.jobs(made)
    for job in jobs.values():
        if job.name != "student":
            broken.obtain(job)
    broken.obtain(jobs["student"], listen=Watcher(stop_at=1))
    again = broken.weights(broken.obtain(jobs["student"]))
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_a_batch_too_large_for_the_rest_of_a_fold_is_refused(bench):
    made = pair({"merit": FOLDS}, teacher={"optimizer": {"batch": 140}})
    words = r"teacher.optimizer.batch: a batch of 140 is larger than the training split "
    with pytest.raises(ScheduleError, match=words + r"\(128 samples\) less a fold"):
        bench.plan(made)


@pytest.mark.parametrize("teacher", [{"epochs": 0}, {"epochs": 0, "hints": []}])
def test_folds_are_refused_for_a_source_that_is_not_trained(teacher):
    with pytest.raises(ScheduleError, match=r"student.merit.from: source 'teacher' has 0 epochs"):
        pair({"merit": FOLDS}, teacher=teacher)
