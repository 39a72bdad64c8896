"""Anchors of sorted copies, draws, grids and counts."""

import pytest
from space_texts import FINITE, REPEATED, problems_of, sizes_of, space_text

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import dump_schedule, expand
from dmtsearch.space import parse_space


def test_the_same_seed_draws_the_same_schedule():
    space = parse_space(REPEATED)
    assert space.draw(seed=3) == parse_space(REPEATED).draw(seed=3)
    assert space.sample(3) == space.sample(3)
    assert len({dump_schedule(space.draw(seed=seed)) for seed in range(30)}) > 10


def test_a_draw_of_one_hole_does_not_depend_on_the_others():
    one = parse_space(space_text("soft: {weight: {float: [0, 1]}}")).sample(5)
    two = parse_space(space_text("soft: {weight: {float: [0, 1]}}, epochs: {int: [1, 9]}"))
    assert two.sample(5)["student.soft.weight"] == one["student.soft.weight"]


def test_draws_cover_every_value_evenly():
    text = space_text(
        "epochs: {int: [2, 6, 2]}, keep: {choice: [best, last]}, optimizer: {lr: "
        "{log: [1e-4, 1e-2]}}"
    )
    space = parse_space(text)
    draws = [space.sample(seed) for seed in range(300)]
    epochs = [draw["student.epochs"] for draw in draws]
    # 100 of each is expected, with a standard deviation of 8.
    assert all(70 < epochs.count(value) < 130 for value in (2, 4, 6))
    assert 110 < [draw["student.keep"] for draw in draws].count("best") < 190
    rates = [draw["student.optimizer.lr"] for draw in draws]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    # On a log scale half of the draws lie below the geometric middle.
    assert 110 < sum(rate < 1e-3 for rate in rates) < 190


def test_drawn_copies_are_sorted_and_unlike():
    space = parse_space(REPEATED)
    found = [sizes_of(space.draw(seed)) for seed in range(60)]
    pairs = {tuple(size.values()) for size in found if len(size) == 2}
    assert all(first > second for first, second in pairs)
    assert len(pairs) > 3


@pytest.mark.parametrize(
    ("drawn", "settled"),
    [
        ((0.2, 0.6), (0.6, 0.2)),
        ((0.4, 0.4), (0.6, 0.4)),
        ((0.8, 0.8), (0.8, 0.6)),
        ((0.2, 0.2), (0.4, 0.2)),
    ],
)
def test_a_draw_is_settled_into_sorted_unlike_sizes(drawn, settled):
    space = parse_space(REPEATED)
    first, second = "assistant.1.model.size", "assistant.2.model.size"
    values = space.settle({"assistant.repeat": 2, first: drawn[0], second: drawn[1]})
    assert values == {"assistant.repeat": 2, first: settled[0], second: settled[1]}
    one = space.settle({"assistant.repeat": 1, first: drawn[0], second: drawn[1]})
    assert one == {"assistant.repeat": 1, first: drawn[0]}


def test_three_equal_draws_are_settled_within_the_range_and_upwards_if_so_ordered():
    text = REPEATED.replace("{int: [0, 2]}", "{int: [3, 3]}")
    names = [f"assistant.{copy}.model.size" for copy in (1, 2, 3)]
    values = {"assistant.repeat": 3, **dict.fromkeys(names, 0.8)}
    falling = parse_space(text).settle(values)
    assert [falling[name] for name in names] == [0.8, 0.6, 0.4]
    rising = parse_space(text.replace("decreasing", "increasing")).settle(values)
    assert [rising[name] for name in names] == [0.4, 0.6, 0.8]


def test_continuous_copies_are_spread_in_the_anchor():
    text = REPEATED.replace("{int: [0, 2]}", "2").replace("[0.2, 0.8, 0.2]", "[0.2, 0.8]")
    space = parse_space(text)
    # A third and two thirds of the way.
    assert sizes_of(space.anchor()) == {
        "assistant_1": pytest.approx(0.6),
        "assistant_2": pytest.approx(0.4),
    }
    drawn = sizes_of(space.draw(1))
    assert drawn["assistant_1"] > drawn["assistant_2"]
    rising = parse_space(text.replace("decreasing", "increasing"))
    assert sizes_of(rising.anchor())["assistant_1"] == pytest.approx(0.4)
    log = text.replace("model.size", "optimizer.lr").replace(
        "hints:", "optimizer: {lr: {log: [1e-4, 1e-1]}}\n    hints:"
    )
    rates = [s.optimizer.lr for s in expand(parse_space(log).anchor()).stages[1:3]]
    assert rates == [pytest.approx(1e-2), pytest.approx(1e-3)]


def test_every_value_of_a_full_order_is_used():
    text = REPEATED.replace("{int: [0, 2]}", "{int: [4, 4]}")
    assert list(sizes_of(parse_space(text).anchor()).values()) == [0.8, 0.6, 0.4, 0.2]


def test_a_finite_space_is_counted_and_listed():
    space = parse_space(FINITE)
    # A copy without its size: 3 convs x (1 + 1 + 2 x 2) hints x (1 + 3) merits = 72.
    # No copy 1; one copy 4 sizes x 72; two copies C(4, 2) pairs x 72^2.
    assert space.size() == 1 + 4 * 72 + 6 * 72**2
    assert parse_space(REPEATED).size() is None


SMALL = [
    ("epochs: {int: [1, 3]}, keep: {choice: [best, last]}", 6),
    (
        "epochs: {int: [1, 3], as: x}, soft: {choice: {off: none, on: {temperature: {int: [1, 3], "
        "as: x}}}}",
        6,
    ),
    ("repeat: {int: [0, 2]}, epochs: {int: [1, 3]}", 1 + 3 + 9),
    ("repeat: {int: [0, 2]}, order: {epochs: increasing}, epochs: {int: [1, 3]}", 1 + 3 + 3),
    ("repeat: 2, epochs: {choice: {a: 1, b: {int: [2, 4]}}}", 16),
    ("", 1),
]


@pytest.mark.parametrize(("fields", "size"), SMALL)
def test_the_size_is_the_length_of_the_grid(fields, size):
    space = parse_space(space_text(fields))
    every = list(space.grid())
    assert space.size() == len(every) == size
    assert len({tuple(sorted(values.items())) for values in every}) == size
    assert len({dump_schedule(space.fill(values)) for values in every}) == size


def test_what_is_within_tied_holes_is_counted():
    tied = "{choice: {a: .1, b: {choice: [.2, .3]}}, as: x}"
    space = parse_space(
        space_text(
            f"merit: {{choice: {{off: none, on: {{rule: delta, increment: {tied}}}}}}}, "
            f"soft: {{choice: {{off: {{}}, on: {{weight: {tied}}}}}}}"
        )
    )
    # By hand: x is a, or b with 2 x 2 values; requested in 3 of the 4 cases of merit and soft.
    assert space.size() == len(list(space.grid())) == 1 + 3 * (1 + 4)


def test_a_continuous_space_has_no_grid():
    with pytest.raises(
        ScheduleError,
        match=r"student.soft.weight: is continuous; a grid needs a "
        r"step  \(x.yaml:5\)",
    ):
        parse_space(space_text("soft: {weight: {float: [0, 1]}}"), "x.yaml").grid()


def test_a_space_without_a_valid_anchor_is_refused():
    text = space_text(
        "soft: {weight: {choice: [0.9, 0.95]}}, merit: {rule: delta, increment: "
        "{choice: [0.2, 0.3]}}"
    )
    assert any("gives a sample the soft weight 1.1" in problem for problem in problems_of(text))


def test_draws_that_do_not_go_together_are_drawn_again():
    text = space_text(
        "soft: {weight: {float: [0.1, 0.9, 0.4]}}, merit: {rule: delta, increment: "
        "{choice: [0.3, 0.1]}}"
    )
    space = parse_space(text)
    drawn = {tuple(space.sample(seed).values()) for seed in range(40)}
    assert (0.9, 0.3) not in drawn
    assert {(0.1, 0.1), (0.5, 0.3), (0.5, 0.1), (0.9, 0.1)} == drawn
