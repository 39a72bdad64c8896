"""The selector on plain arrays: for someone with own classifiers."""

import json
import os

import numpy as np
import pandas as pd
import pytest
import torch
from array_outputs import CLASSES, outputs_of
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.base import clone

from dmtsearch import Selector
from dmtsearch.errors import BundleError, DataError, UsageError


@pytest.fixture(scope="module")
def fitted():
    outputs, labels, _ = outputs_of()
    return Selector(seed=1).fit(outputs, labels)


def test_it_beats_each_classifier_on_samples_it_has_not_seen(fitted):
    outputs, labels, reliable = outputs_of(seed=9)
    alone = {name: (p.argmax(1) == labels).mean() for name, p in outputs.items()}
    assert fitted.score(outputs, labels) > max(alone.values()) + 0.15
    assert (fitted.select(outputs) == reliable).mean() > 0.85
    assert fitted.modalities_ == ("a", "b")
    assert (fitted.n_classes_, fitted.n_features_in_) == (CLASSES, 10)


def test_predictions_are_the_selected_classifiers_own(fitted):
    outputs, labels, _ = outputs_of(n=50, seed=2)
    selected, classes = fitted.select(outputs), fitted.predict(outputs)
    assert [outputs[name][row].argmax() for row, name in enumerate(selected)] == list(classes)
    shares = fitted.predict_proba(outputs)
    for row, name in enumerate(selected):
        np.testing.assert_allclose(shares[row], outputs[name][row], atol=1e-6)
    trust = fitted.trust(outputs)
    np.testing.assert_allclose(trust.sum(1), 1)
    assert [fitted.modalities_[column] for column in trust.argmax(1)] == list(selected)
    assert fitted.score(outputs, labels) == pytest.approx((classes == labels).mean())


def test_samples_on_which_not_exactly_one_is_right_teach_nothing():
    outputs, labels, _ = outputs_of()
    right = np.stack([p.argmax(1) == labels for p in outputs.values()], 1)
    made = Selector(epochs=1).fit(outputs, labels)
    assert made.n_informative_ == int((right.sum(1) == 1).sum())


def test_where_the_reliable_modality_is_known_every_sample_teaches():
    outputs, labels, reliable = outputs_of()
    made = Selector(seed=1).fit(outputs, labels, reliable=reliable)
    assert made.n_informative_ == len(labels)
    others, _, known = outputs_of(seed=9)
    assert (made.select(others) == known).mean() > 0.85


def test_the_order_in_which_modalities_are_given_later_does_not_matter(fitted):
    outputs, _, _ = outputs_of(n=20, seed=3)
    turned = dict(reversed(outputs.items()))
    assert (fitted.select(outputs) == fitted.select(turned)).all()


def test_a_soft_decision_mixes_the_probabilities():
    outputs, labels, _ = outputs_of()
    made = Selector(decision="soft", seed=1).fit(outputs, labels)
    trust = made.trust(outputs)
    mixed = sum(trust[:, [column]] * outputs[name] for column, name in enumerate("ab"))
    np.testing.assert_allclose(made.predict_proba(outputs), mixed, atol=1e-6)


@pytest.mark.parametrize("inputs", ["topk", "posterior", "logits", "moments"])
def test_every_kind_of_input_fits_and_answers(inputs):
    outputs, labels, _ = outputs_of(n=200)
    made = Selector(inputs=inputs, hidden=(), epochs=3).fit(outputs, labels)
    features = {"topk": 10, "posterior": 12, "logits": 12, "moments": 8}
    assert made.n_features_in_ == features[inputs]
    assert set(made.select(outputs)) <= {"a", "b"}


def test_one_seed_gives_one_selector_and_leaves_the_global_generator_alone():
    outputs, labels, _ = outputs_of(n=200)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, same, other = (
        Selector(dropout=0.2, epochs=3, seed=seed).fit(outputs, labels).trust(outputs)
        for seed in (4, 4, 5)
    )
    assert (one == same).all()
    assert not np.allclose(one, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_more_than_two_modalities_and_lists_of_lists():
    outputs, labels, _ = outputs_of(n=120)
    three = {**outputs, "c": np.full((120, CLASSES), 1 / CLASSES).tolist()}
    made = Selector(epochs=20).fit(three, labels.tolist())
    assert made.trust(three).shape == (120, 3)
    assert (made.select(three) == "c").mean() < 0.2  # it is right on one class in six


def test_a_rate_that_is_too_high_is_said_and_leaves_no_selector():
    outputs, labels, _ = outputs_of(n=200)
    made = Selector(epochs=3).fit(outputs, labels)
    with pytest.raises(
        UsageError, match=r"lr is 1e\+30, and with it the loss was .*; choose a low"
    ):
        made.set_params(lr=1e30).fit(outputs, labels)
    with pytest.raises(UsageError, match="not fitted yet"):
        made.predict(outputs)


def test_tables_of_pandas_and_tensors_are_read_as_arrays_are(fitted):
    outputs, _, _ = outputs_of(n=20, seed=6)
    frames = {name: pd.DataFrame(p) for name, p in outputs.items()}
    tensors = {name: torch.tensor(p, requires_grad=True) for name, p in outputs.items()}
    for given in (frames, tensors):
        np.testing.assert_array_equal(fitted.trust(given), fitted.trust(outputs))


def test_a_selector_made_with_numpys_numbers_is_saved(tmp_path):
    outputs, labels, _ = outputs_of(n=60)
    params = {"k": np.int64(3), "hidden": [np.int64(4)], "lr": np.float64(0.01)}
    Selector(epochs=1, **params).fit(outputs, labels).save(tmp_path / "s")
    assert Selector.load(tmp_path / "s").get_params()["hidden"] == (4,)


def test_a_place_that_cannot_be_written_is_refused(fitted, tmp_path):
    with pytest.raises(BundleError, match=r"cannot be written .*; name a file"):
        fitted.save(tmp_path)


def test_a_saved_selector_answers_the_same(fitted, tmp_path):
    fitted.save(tmp_path / "s.safetensors")
    outputs, _, _ = outputs_of(n=30, seed=4)
    loaded = Selector.load(tmp_path / "s.safetensors")
    assert (loaded.modalities_, repr(loaded)) == (("a", "b"), repr(fitted))
    assert loaded.n_informative_ == fitted.n_informative_
    np.testing.assert_allclose(loaded.trust(outputs), fitted.trust(outputs), atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"no tensors at all", None])
def test_a_file_that_holds_no_selector_is_refused(tmp_path, content):
    path = tmp_path / "x.safetensors"
    if content is None:
        save_file({"a": torch.zeros(1)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(BundleError, match="no selector"):
        Selector.load(path)
    with pytest.raises(BundleError, match=r"no such file; give what Selector\.save wrote"):
        Selector.load(tmp_path / "nowhere")


def with_params(facts, **params):
    return {**facts, "params": {**facts["params"], **params}}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda facts: [facts], "no selector"),
        (lambda facts: {**facts, "classes": "4"}, "classes"),
        (lambda facts: {**facts, "modalities": ["a"]}, "modalities"),
        (
            lambda facts: {**facts, "params": {**facts["params"], "hidden": [10**9]}},
            "by its header",
        ),
        (lambda facts: {**facts, "params": {**facts["params"], "k": 99}}, "k is 99"),
        (lambda facts: {**facts, "params": {**facts["params"], "colour": 1}}, r"params\.colour"),
        (lambda facts: {**facts, "params": {}}, r"params\.inputs"),
        (lambda facts: {**facts, "classes": 2}, "k is 5"),
    ],
)
def test_a_strangers_file_of_a_selector_is_refused_by_field(fitted, tmp_path, change, place):
    path = tmp_path / "s.safetensors"
    fitted.save(path)
    with safe_open(str(path), "pt") as file:
        facts = json.loads(file.metadata()["dmtsearch_selector"])
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    save_file(state, path, metadata={"dmtsearch_selector": json.dumps(change(facts))})
    with pytest.raises(BundleError, match=place):
        Selector.load(path)


def test_a_pipe_in_place_of_a_selectors_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "s")
    with pytest.raises(BundleError, match="is a pipe"):
        Selector.load(tmp_path / "s")


def test_it_has_scikit_learns_manners():
    made = Selector(inputs="moments", hidden=(4, 2), seed=3)
    assert Selector(**made.get_params()).get_params() == made.get_params()
    assert clone(made).get_params() == made.get_params()
    assert made.set_params(k=2, epochs=7) is made
    assert (made.k, made.epochs) == (2, 7)
    with pytest.raises(UsageError, match=r"no parameter 'sed'; did you mean 'seed'\?"):
        made.set_params(sed=1)
    with pytest.raises(UsageError, match="not fitted yet; call fit"):
        made.predict(outputs_of(n=12)[0])


def broken(change):
    outputs, labels, _ = outputs_of(n=12)
    outputs = {name: p.copy() for name, p in outputs.items()}
    change(outputs)
    return outputs, labels


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda o: o.update(b=o["b"][:11]),
         "unpaired samples: 'a' has 12, 'b' 11; row i of each must be the same sample"),
        (lambda o: o.update(b=np.full((12, 5), 0.2)), "unlike classes: 'b' has 5, 'a' 6"),
        (lambda o: o["b"].__setitem__((3, 1), np.nan), r"outputs\['b'\]: sample 3 holds NaN"),
        (lambda o: o["a"].__setitem__((2, 0), -0.1), "sample 2 has a negative value; give class"),
        (lambda o: o.update(a=o["a"] * 0.9), "probabilities of sample 0 sum to 0.9, not 1"),
        (lambda o: o.pop("b"), "outputs has 1 modality; a selector needs two or more"),
        (lambda o: o.update(a=np.ones((12, 1))), r"outputs\['a'\] has one class only"),
        (lambda o: o.update(a=np.ones(12)), r"outputs\['a'\] has shape \(12,\); give \[samples"),
        (lambda o: o.update(a=[["x"] * 6] * 12), r"outputs\['a'\] is no table of numbers"),
        (lambda o: o.update({3: o["a"]}), "outputs has a modality 3; name each of them by a text"),
        (lambda o: o["b"].__setitem__(4, np.nan), r"\['b'\]: sample 4 holds NaN or infinity$"),
    ],
    ids=["unpaired", "classes", "nan", "negative", "sum", "alone", "one class", "flat", "text",
         "name", "a row"],
)  # fmt: skip
def test_outputs_that_are_none_are_refused(change, message):
    outputs, labels = broken(change)
    with pytest.raises(DataError, match=message):
        Selector().fit(outputs, labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(12, int), "all 12 samples are of class 0; give two or more classes"),
        (np.arange(12), r"label 6 of sample 6 is outside 0 .. 5, the columns"),
        (np.arange(11) % 6, r"labels has shape \(11,\); the outputs have 12 samples"),
        (np.arange(12) / 2, "labels are float64; give whole numbers"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(DataError, match=message):
        Selector().fit(outputs_of(n=12)[0], labels)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"k": 7}, "k is 7, and there are 6 classes; choose k from 1 to 6"),
        ({"inputs": "top"}, "inputs is 'top'; did you mean 'topk'?"),
        ({"k": 2.5}, "k is 2.5, and there are 6 classes; choose k from 1 to 6"),
        ({"decision": "both"}, "decision is 'both'; it is hard or soft"),
        ({"hidden": 32}, r"hidden is 32; give the width of each hidden layer: \(32,\), or \(\)"),
        ({"hidden": (8, 0)}, r"hidden is \(8, 0\); give the width"),
        ({"epochs": 0}, "epochs is 0; it is a whole number from 1"),
        ({"batch": 2.5}, "batch is 2.5; it is a whole number from 1"),
        ({"seed": -1}, "seed is -1; it is a whole number from 0"),
        ({"lr": float("nan")}, "lr is nan; it is a number above 0"),
        ({"lr": "fast"}, "lr is 'fast'; it is a number above 0"),
        ({"dropout": 1.0}, "dropout is 1.0; it is a chance from 0 to below 1"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(params, message):
    outputs, labels, _ = outputs_of(n=12)
    with pytest.raises(UsageError, match=message):
        Selector(**params).fit(outputs, labels)


def test_classifiers_that_are_right_on_the_same_samples_teach_nothing():
    outputs, labels, _ = outputs_of(n=60)
    perfect = np.eye(CLASSES)[labels]
    with pytest.raises(DataError, match=r"accuracies: a 1.000, b 1.000\), so nothing says which"):
        Selector().fit({"a": perfect, "b": perfect}, labels)
    with pytest.raises(DataError, match=r"reliable\[0\] is 'c', no modality of the outputs"):
        Selector().fit(outputs, labels, reliable=["c"] * 60)
    with pytest.raises(DataError, match="reliable has 59 names; the outputs have 60 samples"):
        Selector().fit(outputs, labels, reliable=["a"] * 59)


def test_a_fitted_selector_refuses_other_modalities_and_classes(fitted):
    outputs, _, _ = outputs_of(n=12)
    with pytest.raises(DataError, match="no outputs were given; give those of one of a, b"):
        fitted.predict({"a": None})
    with pytest.raises(DataError, match="modality 'c' has no classifier that this selector"):
        fitted.predict({**outputs, "c": outputs["a"]})
    five, _, _ = outputs_of(n=10, classes=5)
    with pytest.raises(DataError, match="unlike classes: 'a' has 5, the selector knows 6"):
        fitted.predict(five)
