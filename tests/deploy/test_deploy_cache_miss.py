"""Why a stage must be trained, in one sentence."""

from types import SimpleNamespace

import dmtsearch
from dmtsearch.deploy import Watch, why_new
from dmtsearch.schedule import parse_schedule
from dmtsearch.store import Difference


class Store:
    """A store whose nearest stage differs as it is told."""

    def __init__(self, *differences):
        found = SimpleNamespace(record={"name": "iris"}, key="9" * 64)
        self.nearest = SimpleNamespace(found=found, differences=differences)

    def closest(self, preimage):
        del preimage
        return self.nearest

    where = "the store"


JOB = SimpleNamespace(name="eye", keys=SimpleNamespace(preimage={}))


def test_what_is_not_given_and_what_is_switched_off_are_no_difference():
    # Left is the kept stage: merit is off there, and here there is no source to have merit.
    merit, epochs = Difference("merit", "null", None), Difference("epochs", "4", "12")
    assert why_new(JOB, Store(merit, epochs)) == (
        "eye: not kept yet; the nearest kept stage (iris, 99999999) differs in epochs: 12 here, "
        "4 there"
    )


def test_a_field_that_keys_leave_out_is_shown_with_its_default():
    left_out = Difference("epochs", None, "12"), Difference("soft.temperature", "2", None)
    assert why_new(JOB, Store(*left_out)).endswith(
        "differs in epochs: 12 here, 20 there; soft.temperature: 4 here, 2 there"
    )


def test_a_field_that_one_stage_lacks_is_none_there():
    reason = why_new(JOB, Store(Difference("hard.weight", None, "1")))
    assert reason.endswith("differs in hard.weight: 1 here, none there")
    assert why_new(JOB, Store(Difference("model.hidden[0]", "4", "8"))) is None


TEXT = """
dmtsearch: 1
name: two
data: {name: digits, train: 64, val: 64, test: 64}
defaults: {epochs: EPOCHS, optimizer: {batch: 32}}
stages:
  first: {model: {family: mlp, hidden: [4]}}
  second: {model: {family: mlp, hidden: [3]}, source: first}
"""


def notes_of(store, out, epochs=1):
    told = []
    schedule = parse_schedule(TEXT.replace("EPOCHS", str(epochs)), "two.yaml")
    training = dmtsearch.train(schedule, out, store=store, watch=Watch(tell=told.append))
    return [line for line in told if "kept" in line], [s.reused for s in training.stages]


def test_stages_of_an_earlier_format_stay_and_train_says_once_why_it_does_not_use_them(
    store, tmp_path, monkeypatch
):
    monkeypatch.setattr("dmtsearch.training.keys.STAGE_FORMAT", 1)
    assert notes_of(store, tmp_path / "before") == ([], [False, False])
    monkeypatch.undo()
    kept = {line.key for line in store.ls()}
    told, reused = notes_of(store, tmp_path / "now")
    assert told == [
        f"note: 2 stages on this data in {store.where} were kept by an earlier version (format "
        "1); this version (format 2) does not use them, and trains again what it needs"
    ]
    assert reused == [False, False]
    assert kept < {line.key for line in store.ls()}
    assert notes_of(store, tmp_path / "again") == ([], [True, True])
    told, _ = notes_of(store, tmp_path / "longer", epochs=2)
    assert [line[:40] for line in told[1:]] == ["first: not kept yet; the nearest kept st"] * 1 + [
        "second: not kept yet; the nearest kept s"
    ]
