"""A selector on plain arrays where a modality is missing: the others decide."""

import numpy as np
import pytest
from array_outputs import CLASSES, outputs_of

from dmtsearch import Selector
from dmtsearch.errors import DataError


@pytest.fixture(scope="module")
def fitted():
    outputs, labels, _ = outputs_of(n=200)
    return Selector(epochs=5).fit(outputs, labels)


def test_where_a_modality_is_missing_the_others_decide(fitted):
    outputs, labels, _ = outputs_of(n=40, seed=5)
    alone = {"b": outputs["b"]}
    assert list(fitted.select(alone)) == ["b"] * 40
    assert list(fitted.predict(alone)) == list(outputs["b"].argmax(1))
    np.testing.assert_array_equal(fitted.trust(alone), [[0.0, 1.0]] * 40)
    np.testing.assert_array_equal(fitted.trust({**alone, "a": None}), fitted.trust(alone))
    assert fitted.score(alone, labels) == pytest.approx((outputs["b"].argmax(1) == labels).mean())


@pytest.mark.parametrize("decision", ["hard", "soft"])
def test_a_row_of_nan_is_a_missing_modality_of_that_sample_alone(decision):
    outputs, labels, _ = outputs_of(n=200)
    made = Selector(decision=decision, epochs=5).fit(outputs, labels)
    gaps = {"a": outputs["a"], "b": outputs["b"].copy()}
    gaps["b"][7] = np.nan
    whole, found = made.trust(outputs), made.trust(gaps)
    assert list(found[7]) == [1.0, 0.0]
    others = np.arange(200) != 7
    np.testing.assert_array_equal(found[others], whole[others])
    np.testing.assert_allclose(made.predict_proba(gaps)[7], outputs["a"][7], atol=1e-6)
    assert np.isnan(gaps["b"][7]).all()  # what was given stays as it was


def test_of_three_modalities_the_two_that_are_left_share_the_trust():
    outputs, labels, _ = outputs_of(n=120)
    three = {**outputs, "c": np.full((120, CLASSES), 1 / CLASSES)}
    made = Selector(epochs=20).fit(three, labels)
    trust = made.trust(outputs)
    assert (trust[:, 2] == 0).all()
    np.testing.assert_allclose(trust.sum(1), 1)
    # Uniform outputs are what c said anyway, so only its share is taken away.
    whole = made.trust(three)[:, :2]
    np.testing.assert_allclose(trust[:, :2], whole / whole.sum(1, keepdims=True), atol=1e-6)


def test_a_gap_that_is_none_is_refused(fitted):
    outputs, _, _ = outputs_of(n=12)
    with pytest.raises(
        DataError, match=r"\['b'\]: sample 3 holds NaN or infinity; where it is mis"
    ):
        fitted.predict({**outputs, "b": np.where(np.arange(72).reshape(12, 6) == 19, np.nan, 0.2)})
    lost = {name: p.copy() for name, p in outputs.items()}
    for table in lost.values():
        table[5] = np.nan
    with pytest.raises(DataError, match="of sample 5 every modality is missing; leave it out"):
        fitted.predict(lost)
