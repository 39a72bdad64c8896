"""Numbers and names as people read them."""

import pytest

from dmtsearch.reporting.measures import difference, short, show


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
