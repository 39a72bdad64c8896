"""The largest whole number of epochs for a cost: by hand, and against trying every number."""

from functools import cache, partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtsearch.data import describe_data
from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import Schedule, dump_schedule, parse_schedule
from dmtsearch.stage_kinds import resolve
from dmtsearch.training import Plan, at_equal_cost, counted_cost, largest_epochs

N = 200
TEXT = """
dmtsearch: 1
name: paths
data: {{name: digits, train: 200, val: 100{data}}}
defaults: {{epochs: 5, optimizer: {{name: adam, batch: 50}}}}
stages:
  teacher:
    model: {{family: plain, widths: [4], convs: 1}}
  other:
    model: {{family: plain, widths: [6], convs: 1}}
    epochs: 2
  student:
    source: {source}
    model: {{family: plain, widths: [2, 2], convs: 1}}
    {student}
"""
# One convolution 3x3 at 64 places, halved by the pool, and the head: MACs of one sample.
TEACHER = 9 * 4 * 64 + 4 * 16 * 10
OTHER = 9 * 6 * 64 + 6 * 16 * 10
HINT = 9 * 2 * 64
STUDENT = HINT + 9 * 2 * 2 * 16 + 2 * 4 * 10
TEACHER_PATH = 3 * TEACHER * 5 * N
OTHER_PATH = 3 * OTHER * 2 * N


@cache
def facts():
    return describe_data(name="digits")


@cache
def resolver():
    return partial(resolve, facts=facts(), num_train=N, known={})


def made(student: str = "", source: str = "teacher", data: str = "") -> Schedule:
    text = TEXT.format(student=student, source=source, data=data)
    if "other" not in source:
        start, end = text.index("  other:"), text.index("  student:")
        text = text[:start] + text[end:]
    return parse_schedule(text)


def plan_of(schedule: Schedule) -> Plan:
    return resolver()(schedule)


AUGMENTED = ", augment: crop_flip"
PHASE = "hints: [{source: block1, at: block1}]\n    hint_phase: {epochs: 3}"


@pytest.mark.parametrize(
    ("schedule", "fixed", "epoch"),
    [
        pytest.param(
            made(), TEACHER_PATH + TEACHER * N, 3 * STUDENT * N, id="the source is read once"
        ),
        pytest.param(
            made(data=AUGMENTED),
            TEACHER_PATH,
            (3 * STUDENT + TEACHER) * N,
            id="the source is read in every epoch of augmented data",
        ),
        pytest.param(
            made(PHASE),
            TEACHER_PATH + (TEACHER + 3 * 3 * HINT) * N,
            3 * STUDENT * N,
            id="a hint phase is counted",
        ),
        pytest.param(
            made(PHASE, data=AUGMENTED),
            TEACHER_PATH + 3 * (TEACHER + 3 * HINT) * N,
            (3 * STUDENT + TEACHER) * N,
            id="a hint phase reads the source too",
        ),
        pytest.param(
            made("soft: {drop: 0.5}", source="[teacher, other]"),
            TEACHER_PATH + OTHER_PATH + (TEACHER + OTHER) * N,
            3 * STUDENT * N,
            id="sources that are dropped now and then are read all the same",
        ),
    ],
)
@pytest.mark.parametrize("epochs", [1, 2, 17, 4_321])
def test_a_cost_buys_whole_epochs_of_the_delivered_stage(schedule, fixed, epoch, epochs):
    plan = plan_of(schedule)
    assert counted_cost(plan) == fixed + 5 * epoch
    assert largest_epochs(plan, fixed + epochs * epoch) == epochs
    assert largest_epochs(plan, fixed + epochs * epoch - 1) == epochs - 1
    assert largest_epochs(plan, fixed + epochs * epoch + epoch - 1) == epochs


def test_until_costs_a_reading_in_some_epochs_only():
    # Augmented: with `until: 0.3`, 4 of 11 epochs read the source (3.3, rounded up), 3 of 10.
    plan = plan_of(made("soft: {until: 0.3}", data=AUGMENTED))
    eleven = TEACHER_PATH + (11 * 3 * STUDENT + 4 * TEACHER) * N
    assert largest_epochs(plan, eleven) == 11
    assert largest_epochs(plan, eleven - 1) == 10


def test_until_counts_as_it_was_written_where_it_says_nothing_of_the_written_epochs():
    # `until: 0.9` of 5 epochs is all 5 of them, and 18 of 20.
    schedule = made("soft: {until: 0.9}", data=AUGMENTED)
    twenty = TEACHER_PATH + (20 * 3 * STUDENT + 18 * TEACHER) * N
    assert largest_epochs(plan_of(schedule), twenty) == 20
    found = at_equal_cost(schedule, twenty, resolver())
    assert counted_cost(plan_of(found)) == twenty


@given(
    cost=st.integers(0, 40 * 3 * STUDENT * N),
    until=st.floats(0.01, 1).map(lambda share: round(share, 3)),
    drop=st.sampled_from([0, 0.5]),
    phase=st.integers(0, 3),
    then=st.sampled_from(["stop", "stay"]),
    augmented=st.booleans(),
    two=st.booleans(),
    first=st.sampled_from(["trained", "given"]),
)
def test_it_is_what_trying_every_number_finds(
    cost, until, drop, phase, then, augmented, two, first
):
    hints = "hints: [{source: teacher.block1, at: block1}]"
    student = f"soft: {{until: {until}{f', drop: {drop}' if two else ''}}}"
    student += f"\n    {hints}\n    hint_phase: {{epochs: {phase}, then: {then}}}" if phase else ""
    schedule = made(
        student, source="[teacher, other]" if two else "teacher", data=AUGMENTED * augmented
    )
    cost += OTHER_PATH if two else 0
    cost += TEACHER_PATH if first == "trained" else 0

    def costs(epochs: int) -> int:
        text = dump_schedule(schedule)
        assert "student:" in text
        changed = parse_schedule(
            text.replace("  student:\n", f"  student:\n    epochs: {epochs}\n")
        )
        return counted_cost(plan_of(changed), first=first)

    found = largest_epochs(plan_of(schedule), cost, first=first)
    tried = 0
    while costs(tried + 1) <= cost:
        tried += 1
    assert found == tried


def test_the_schedule_has_the_epochs_and_is_else_as_it_was_written():
    schedule = made()
    cost = TEACHER_PATH + TEACHER * N + 9 * 3 * STUDENT * N
    found = at_equal_cost(schedule, cost + 1, resolver())
    before, after = dump_schedule(schedule).splitlines(), dump_schedule(found).splitlines()
    assert [line for line in after if line not in before] == ["    epochs: 9"]
    assert [line for line in before if line not in after] == []
    assert found.stages["student"].epochs == 9


def test_of_a_repeated_stage_the_last_copy_gets_the_epochs():
    schedule = made("repeat: 2\n    soft: {until: 0.9}")
    # The first copy reads the teacher once, the second the first.
    copy = (TEACHER + 5 * 3 * STUDENT) * N
    cost = TEACHER_PATH + copy + (STUDENT + 8 * 3 * STUDENT) * N
    found = at_equal_cost(schedule, cost, resolver())
    assert {name: stage.epochs for name, stage in found.stages.items()} == {
        "teacher": 5,
        "student_1": 5,
        "student_2": 8,
    }
    assert found.stages["student_2"].soft.until == 0.9
    assert counted_cost(plan_of(found)) == cost
    assert parse_schedule(dump_schedule(found)).stages == found.stages


def test_epochs_that_were_none_are_not_looked_at():
    schedule = made("epochs: 0")
    cost = TEACHER_PATH + TEACHER * N + 9 * 3 * STUDENT * N
    assert at_equal_cost(schedule, cost, resolver()).stages["student"].epochs == 9


def test_less_than_one_epoch_is_refused_with_what_one_costs():
    one = TEACHER_PATH + TEACHER * N + 3 * STUDENT * N
    with pytest.raises(ScheduleError, match=rf"less than one epoch .* costs {one:,}"):
        at_equal_cost(made(), one - 1, resolver())
    assert at_equal_cost(made(), one, resolver()).stages["student"].epochs == 1


def test_a_given_first_model_does_not_count():
    cost = TEACHER * N + 3 * STUDENT * N * 4
    plan = plan_of(made())
    assert largest_epochs(plan, cost, first="given") == 4
    assert counted_cost(plan, first="given") == counted_cost(plan) - TEACHER_PATH


def test_the_delivered_model_itself_is_never_the_given_first_model():
    bare = plan_of(made("soft: none"))
    assert counted_cost(bare, first="given") == 5 * 3 * STUDENT * N
