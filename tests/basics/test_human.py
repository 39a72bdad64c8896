"""Numbers, durations and lists as people write and read them."""

import pytest

from dmtsearch.errors import UsageError
from dmtsearch.human import (
    amount,
    byte_size,
    counted,
    duration,
    listed,
    percent,
    rough_duration,
    seconds_of,
)


def test_large_numbers_sizes_and_shares():
    assert amount(999_999) == "999,999"
    assert amount(1_500_000) == "1.50 M"
    assert amount(None) == "?"
    assert byte_size(812) == "812 B"
    assert byte_size(4_800_000) == "4.8 MB"
    assert percent(0.8805) == "88.05 %"
    assert percent(None) == "-"


def test_a_measured_time_is_finer_than_an_estimate():
    assert duration(4.25) == "4.2 s"
    assert duration(200) == "3 min 20 s"
    assert duration(7500) == "2 h 5 min"
    assert rough_duration(4.25) == "4 s"
    assert rough_duration(200) == "3 min"
    assert rough_duration(7500) == "2 h 5 min"


def test_lists_and_counts():
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(["a", "b"], word="or") == "a or b"
    assert listed(["a", "b", "c"], most=2) == "a, b and 1 more"
    assert counted(1, "trial") == "1 trial"
    assert counted(2000, "trial") == "2,000 trials"


@pytest.mark.parametrize(
    ("span", "seconds"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("45", 45), (12.5, 12.5)],
)
def test_a_duration_is_read_in_seconds(span, seconds):
    assert seconds_of(span) == seconds


@pytest.mark.parametrize("span", ["soon", "", "2 weeks", "-5", 0, "h", "nan", "inf", "1h x"])
def test_what_is_not_a_duration_is_refused(span):
    with pytest.raises(UsageError, match="is not a duration; write 90s"):
        seconds_of(span)
