"""Chance by counter."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dmtsearch.data import mix, normal, pick, uniform

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


def test_a_stream_may_start_at_mixed_bits_of_its_own():
    starts = mix(torch.arange(3), base=7)
    rows = mix(torch.arange(4)[None], base=starts[:, None])
    state = (int(starts[1]) + 3 * 0x9E3779B97F4A7C15) & WORD
    assert int(rows[1, 2]) & WORD == splitmix64(state)


def test_uniform_numbers_are_even_and_below_one():
    drawn = uniform(mix(torch.arange(100_000), base=5))
    assert float(drawn.min()) >= 0
    assert float(drawn.max()) < 1
    counts = torch.histc(drawn, bins=10, min=0, max=1)
    # sd of a count is 95.
    assert float((counts - 10_000).abs().max()) < 400
    assert float(uniform(torch.tensor([-1]))[0]) == 1 - 2**-24


def test_normal_numbers_have_the_moments_and_tails_of_the_normal_distribution():
    drawn = normal(torch.arange(50_000), base=5).flatten()
    assert len(drawn) == 200_000
    assert float(drawn.mean()) == pytest.approx(0, abs=0.01)
    assert float(drawn.std()) == pytest.approx(1, abs=0.01)
    # P(|z| > 1.96) = .05; n = 200,000: standard error .0005.
    assert float((drawn.abs() > 1.95996).float().mean()) == pytest.approx(0.05, abs=0.002)
    assert 4 < float(drawn.abs().max()) < 4.34
