"""A bundle of the whole: classifiers and selector, from Python and from the command line."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from two_sensors import SIZES, TwoSensors

import dmtsearch
from dmtsearch.errors import BundleError, UsageError
from dmtsearch.schedule import parse_schedule
from dmtsearch.store import open_store

TEXT = """\
dmtsearch: 1
name: two-sensors
data: {factory: "two_sensors:sensors"}
defaults: {epochs: 6, optimizer: {name: adam, lr: 0.02, batch: 32}}
stages:
  a_big: {modality: a, model: {family: mlp, hidden: [16]}}
  a: {modality: a, source: a_big, model: {family: mlp, hidden: [8]}}
  b: {modality: b, model: {family: mlp, hidden: [8]}}
  selector:
    select: [a, b]
    k: 3
    model: {family: mlp, hidden: [8]}
    degrade: [{kind: noise, severity: [0.3, 1]}]
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A bundle, trained once for this file; and its store."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1]))
        root = tmp_path_factory.mktemp("selector")
        store = open_store(str(root / "store"))
        training = dmtsearch.train(parse_schedule(TEXT, "s.yaml"), root / "out", store=store)
        yield training, root, store


@pytest.fixture(scope="module")
def bundle(trained):
    return dmtsearch.load_bundle(trained[1] / "out")


@pytest.fixture(scope="module")
def samples():
    return TwoSensors(90, 1)


def test_one_file_holds_all_weights_by_prefix_and_says_how(trained):
    training, root, store = trained
    info = json.loads((root / "out" / "bundle.json").read_text())
    weights = load_file(root / "out" / "model.safetensors")
    parts = info["selector"]["classifiers"]
    assert [(part["stage"], part["modality"]) for part in parts] == [("a", "a"), ("b", "b")]
    prefixes = {part["prefix"] for part in parts} | {info["selector"]["prefix"]}
    assert (
        {".".join(name.split(".")[:2]) + "." for name in weights if name[:5] == "class"}
        == {
            "classifiers.0.",
            "classifiers.1.",
        }
        == prefixes - {"selector."}
    )
    by_name = {stage.name: stage for stage in training.stages}
    from safetensors.torch import load

    kept = load(store.get(by_name["b"].key).read("model.safetensors"))
    for name, value in kept.items():
        assert torch.equal(weights[f"classifiers.1.{name}"], value)
    # Delivered are both classifiers and the net; a_big only taught.
    params = {name: stage.record["params"] for name, stage in by_name.items()}
    assert info["params"] == params["a"] + params["b"] + params["selector"]


def test_a_bundle_answers_class_selected_modality_and_how_sure(bundle, samples):
    answers = bundle.answer(samples.x)
    assert answers.probabilities.shape == (90, 3)
    torch.testing.assert_close(answers.probabilities.sum(1), torch.ones(90))
    assert set(answers.believed) == {"a", "b"}
    torch.testing.assert_close(answers.trust.sum(1), torch.ones(90))
    assert float((answers.labels == samples.y).float().mean()) > 0.7
    # A hard decision is the selected classifier's own.
    alone = {
        name: torch.softmax(
            bundle.model.classifiers[position](bundle.viewers()[position](samples.x[name])), 1
        )
        for position, name in enumerate("ab")
    }
    for row, name in enumerate(answers.believed):
        torch.testing.assert_close(answers.probabilities[row], alone[name][row])
    assert answers.trust.argmax(1).tolist() == ["ab".index(name) for name in answers.believed]
    torch.testing.assert_close(answers.sure, answers.probabilities.max(1).values)


def test_where_a_modality_is_missing_the_other_decides(bundle, samples):
    nothing = bundle.answer({"a": None, "b": samples.x["b"]})
    assert set(nothing.believed) == {"b"}
    assert torch.equal(nothing.trust, torch.tensor([[0.0, 1.0]]).repeat(90, 1))
    assert torch.equal(nothing.labels, bundle.answer({"b": samples.x["b"]}).labels)


def test_a_single_sample_with_nan_in_it_lacks_that_modality(bundle, samples):
    broken = samples.x["b"].clone()
    broken[3, 2] = float("nan")
    whole = bundle.answer(samples.x)
    found = bundle.answer({"a": samples.x["a"], "b": broken})
    assert found.believed[3] == "a"
    assert found.trust[3].tolist() == [1.0, 0.0]
    others = torch.arange(90) != 3
    assert torch.equal(found.trust[others], whole.trust[others])
    assert bool(found.probabilities.isfinite().all())


def test_numpy_arrays_are_answered_as_tensors_are(bundle, samples):
    arrays = {name: x.numpy() for name, x in samples.x.items()}
    assert torch.equal(bundle.predict(arrays), bundle.predict(samples.x))


def test_an_infinite_value_is_no_reading_either(bundle, samples):
    broken = samples.x["a"].clone()
    broken[7, 0] = float("-inf")
    found = bundle.answer({"a": broken, "b": samples.x["b"]})
    assert (found.believed[7], found.trust[7].tolist()) == ("b", [0.0, 1.0])


def test_a_sample_of_which_nothing_is_there_is_named_by_its_own_number(bundle, samples):
    broken = {name: x.repeat(20, 1) for name, x in samples.x.items()}
    for x in broken.values():
        x[1234, 1] = float("nan")  # beyond the first batch of an evaluation
    with pytest.raises(BundleError, match="of sample 1234 every modality is missing"):
        bundle.answer(broken)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param({"c": 1}, "no modality 'c' here; known: a, b", id="unknown"),
        pytest.param({"a": None}, "no sample was given; give one of a, b", id="nothing"),
        pytest.param({"a": torch.zeros(2, 5), "b": torch.zeros(3, 6)},
                     r"samples are unpaired: \{'a': 2, 'b': 3\}; give as many", id="unpaired"),
        pytest.param({"a": torch.zeros(2, 4)},
                     r"modality 'a' reads samples of shape \(5,\); these have \(4,\)", id="shape"),
        pytest.param({"a": torch.full((2, 5), float("nan"))},
                     "of sample 0 every modality is missing; leave it out", id="all missing"),
        pytest.param([torch.zeros(2, 5)], r"is a list; give \{'a': x, 'b': x\}", id="list"),
        pytest.param({"a": torch.zeros(5)}, r"these have \(\): one sample is a batch of one, x\[N",
                     id="one sample"),
        pytest.param({"a": [[0.0] * 5]}, "'a' reads a tensor or numpy array; this is a list",
                     id="lists"),
        pytest.param({"a": torch.zeros(0, 5)}, "the tensors are empty", id="empty"),
    ],
)  # fmt: skip
def test_what_a_bundle_cannot_answer_is_refused(bundle, given, message):
    with pytest.raises(BundleError, match=message):
        bundle.answer(given)


METHODS = {
    *("selector", "only_a", "only_b", "max_softmax", "temperature_max_softmax", "margin"),
    *("entropy", "energy", "sum_rule", "product_rule", "stacking", "oracle"),
}


def test_evaluate_sweeps_over_seen_and_unseen_kinds_with_every_method(trained):
    root = trained[1]
    found = dmtsearch.evaluate(root / "out").as_dict()
    assert (found["split"], found["n"]) == ("test", 90)
    assert set(found["methods"]) == METHODS
    # Features: noise was trained on; missing and block are the other kinds that fall on them.
    seen = {(row["kind"], row["seen"]) for row in found["sweep"]}
    assert seen == {(None, True), ("noise", True), ("missing", False), ("block", False)}
    own = [row for row in found["sweep"] if row["seen"]]
    assert len(own) == 1 + 4 * 3  # nothing; four severities of noise on a, b, both
    mean = sum(row["accuracy"] for row in own) / len(own)
    assert found["accuracy"] == pytest.approx(mean, abs=1e-12)
    assert found["oracle_accuracy"] - found["accuracy"] == pytest.approx(found["regret"])
    one = [row["selection_accuracy"] for row in own if len(row["degraded"]) == 1]
    assert found["selection_accuracy"] == pytest.approx(sum(one) / len(one))
    assert all(r["selection_accuracy"] is None for r in own if len(r["degraded"]) != 1)
    for row in found["sweep"]:
        assert row["low"] <= row["accuracy"] <= row["high"]
        assert sum(row["believed"].values()) == row["n"] == 90
    json.dumps(found, allow_nan=False)


def test_each_evaluation_on_test_is_an_opening_that_is_written_down(trained):
    root = trained[1]
    before = dmtsearch.evaluate(root / "out").openings
    assert dmtsearch.evaluate(root / "out").openings == before + 1
    line = json.loads((root / "out" / "openings.jsonl").read_text().splitlines()[-1])
    assert (line["split"], line["n"]) == ("test", 90)


def test_other_data_is_scored_with_fusion_rules_fitted_on_the_bundles_own(trained):
    found = dmtsearch.evaluate(trained[1] / "out", data=TwoSensors(60, 5)).as_dict()
    assert (found["n"], found["openings"]) == (60, 0)
    assert set(found["methods"]) == METHODS


def test_data_without_a_modality_or_of_another_shape_is_refused(trained, tmp_path):
    folder = trained[1] / "out"

    class OnlyA(TwoSensors):
        def __getitem__(self, index):
            views, y = super().__getitem__(index)
            return {"a": views["a"]}, y

    with pytest.raises(BundleError, match="the model reads modality 'b'; the data has a"):
        dmtsearch.evaluate(folder, data=OnlyA(60, 5))
    (tmp_path / "images").mkdir()
    with pytest.raises(UsageError, match="this model reads 2 modalities, and a folder of images"):
        dmtsearch.evaluate(folder, data=str(tmp_path / "images"))


def test_training_into_the_same_folder_goes_on_with_it(trained):
    training, root, store = trained
    again = dmtsearch.train(parse_schedule(TEXT, "s.yaml"), root / "out", store=store)
    assert [stage.reused for stage in again.stages] == [True] * 4
    assert again.delivered.key == training.delivered.key


def test_a_users_own_classifiers_come_with_the_bundle_only_when_given_again(
    trained, tmp_path, store
):
    del trained  # its fixture puts the factory on the path
    modules = {name: torch.nn.Linear(size, 3) for name, size in SIZES}
    text = TEXT.replace("  a_big: {modality: a, model: {family: mlp, hidden: [16]}}\n", "")
    text = text.replace("a: {modality: a, source: a_big,", "a: {modality: a,")
    dmtsearch.train(parse_schedule(text, "s.yaml"), tmp_path / "own", store=store, models=modules)
    with pytest.raises(BundleError, match=r"load_bundle\(folder, models=\{'a': YOUR_MODULE\}\)"):
        dmtsearch.load_bundle(tmp_path / "own")
    loaded = dmtsearch.load_bundle(tmp_path / "own", models=modules)
    assert loaded.predict(TwoSensors(4, 2).x).shape == (4, 3)
