"""Effects of holes before a confirmation: adjusted for the other holes, or not stated."""

import pytest
from made_run import MadeRun

from dmtsearch.reporting import gather_adjusted, read_run
from dmtsearch.space import parse_space

TWO_HOLES = """\
dmtsearch: 1
name: two-holes
data: {name: digits, val: 0.25}
stages:
  teacher: {model: {family: plain, widths: [32, 64], convs: 2}}
  student:
    source: teacher
    model: {family: plain, widths: {choice: {small: [4, 8], large: [8, 16]}}, convs: 2}
    soft: {weight: {choice: [0.3, 0.9]}}
"""


def searched(root, fills):
    """A run whose trials have these (width, weight, accuracy)."""
    run = MadeRun(root, parse_space(TWO_HOLES, "space.yaml"))
    run.start(TWO_HOLES)
    for width, weight, accuracy in fills:
        values = {"student.model.widths": width, "student.soft.weight": weight}
        run.finish(run.propose("search", run.space.fill(values), values), accuracy)
    return read_run(run.stop())


def test_a_gain_that_comes_from_the_size_is_not_the_other_holes(tmp_path):
    # A large student is worth 2 points, the weight nothing; .9 went mostly with large students.
    noise = [0.001, -0.001] * 8
    fills = [("large", 0.9)] * 7 + [("small", 0.9)] + [("small", 0.3)] * 7 + [("large", 0.3)]
    rows = [
        (width, weight, 0.80 + 0.02 * (width == "large") + off)
        for (width, weight), off in zip(fills, noise, strict=True)
    ]
    # The raw means differ by 2 points x (7 - 1) / 8.
    raw = [sum(y for _, w, y in rows if w == weight) / 8 for weight in (0.9, 0.3)]
    assert raw[0] - raw[1] == pytest.approx(0.015, abs=0.001)
    found = gather_adjusted(searched(tmp_path / "run", rows))
    effects = {(one.hole, one.change): one for one in found.effects}
    weight = effects["student.soft.weight", "0.9 instead of 0.3"]
    assert weight.effect == pytest.approx(0.0, abs=0.001)
    assert not weight.is_seen
    (size,) = (one for name, one in effects.items() if name[0] == "student.model.widths")
    assert abs(size.effect) == pytest.approx(0.02, abs=0.001)
    assert size.is_seen


def test_holes_that_always_go_together_have_no_effect_of_their_own(tmp_path):
    rows = [("large", 0.9, 0.82 + 0.001 * n) for n in range(5)]
    rows += [("small", 0.3, 0.80 + 0.001 * n) for n in range(5)]
    found = gather_adjusted(searched(tmp_path / "run", rows))
    assert found.effects == ()
    assert set(found.apart) == {"student.model.widths", "student.soft.weight"}


def test_too_few_trials_state_no_effect(tmp_path):
    rows = [("large", 0.9, 0.82), ("small", 0.3, 0.80), ("small", 0.9, 0.81)]
    found = gather_adjusted(searched(tmp_path / "run", rows))
    assert found.effects == ()
    assert (
        found.missing
        == "3 finished trials cannot tell 2 effects of 2 holes apart: no effect is stated."
    )
