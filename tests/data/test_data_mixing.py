"""Chance by counter."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dmtsearch.data.mixing import mix, pick

WORD = 2**64 - 1


def splitmix64(state):
    """The published algorithm in plain whole numbers; `state` is the counter's."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & WORD
    return state ^ (state >> 31)


def test_mix_gives_the_published_first_outputs_of_splitmix64_from_seed_1234567():
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [int(bits) & WORD for bits in mix(torch.arange(3), base=1234567)] == expected


@given(base=st.integers(0, 2**63 - 1), counter=st.integers(0, 2**40))
def test_mix_equals_the_algorithm_in_plain_whole_numbers(base, counter):
    state = (base + (counter + 1) * 0x9E3779B97F4A7C15) & WORD
    assert int(mix(torch.tensor([counter]), base=base)[0]) & WORD == splitmix64(state)


@given(bits=st.integers(-(2**63), 2**63 - 1), skip=st.sampled_from([0, 16, 32, 48]))
def test_pick_takes_sixteen_bits_from_the_place_asked_for(bits, skip):
    expected = (((bits & WORD) >> skip) & 0xFFFF) * 9 >> 16
    assert int(pick(torch.tensor([bits]), skip=skip, count=9)[0]) == expected


@pytest.mark.parametrize("skip", [0, 16, 32])
def test_pick_reaches_every_number_and_no_other(skip):
    picked = pick(mix(torch.arange(5000), base=3), skip=skip, count=9)
    assert np.array_equal(np.unique(picked.numpy()), np.arange(9))
