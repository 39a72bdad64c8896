"""Numbers and names as people read them."""

from types import SimpleNamespace

import pytest

from dmtsearch.engine import OBJECTIVES, measure_objectives
from dmtsearch.reporting import difference, measure_of, short, show

RECORD = {
    "metrics": {"val": {"n": 8, "accuracy": 0.5, "nll": 1.5, "ece": 0.25, "regret": 0.125}},
    "latency": {"median_ms": 2.5},
}
SIZED = SimpleNamespace(params=300, macs=5_000, cold_cost=70_000)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_is_one_row_from_its_value_to_its_words(name):
    row = OBJECTIVES[name]
    (value,) = measure_objectives([name], RECORD, SIZED).values()
    known = [*RECORD["metrics"]["val"].values(), 2.5, *vars(SIZED).values()]
    assert value in known
    assert measure_of(name) == row.written
    assert show(name, value).endswith(row.written.unit)
    assert row.meaning == row.meaning.strip().rstrip(".")
    assert "|" not in row.meaning
    (missing,) = measure_objectives([name], {}, SIZED).values()
    assert missing is None or missing in vars(SIZED).values()


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("val_accuracy", 0.8805, "88.05 %"),
        ("val_nll", 0.41234, "0.4123 nats"),
        ("params", 52430, "52,430"),
        ("cold_cost", 3.414e12, "3.41 T sample-MACs"),
        ("latency", 0.4, "0.400 ms"),
        ("of_a_later_version", 1.5, "1.5000"),
        ("val_accuracy", None, "-"),
    ],
)
def test_a_value_is_shown_with_its_unit(name, value, text):
    assert show(name, value) == text


def test_a_difference_of_percents_is_in_points():
    assert difference("val_accuracy", 0.0031) == "0.31 points"
    assert difference("val_accuracy", 0.0031, signed=True) == "+0.31 points"
    assert difference("val_accuracy", -0.02, signed=True) == "-2.00 points"
    assert difference("cold_cost", -2e9, signed=True) == "-2.00 G sample-MACs"


def test_a_value_of_a_hole_is_short():
    assert short(0.30000000000000004) == "0.3"
    assert short(True) == "True"
    assert short(20_000) == "20,000"
