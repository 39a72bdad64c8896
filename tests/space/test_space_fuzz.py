"""No space, however strange, raises anything but our own error; what loads can be filled."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import dump_schedule, emit, expand, parse_schedule
from dmtsearch.space import parse_space

QUIET = [HealthCheck.too_slow]
NAMES = st.sampled_from(
    ["a", "b", "repeat", "order", "source", "model", "soft", "hints", "weight", "choice", "int",
     "float", "log", "as", "search", "args", "preset", "cnn8", "none", "defaults", "epochs",
     "merit", "model.size", "decreasing", "size", "family", "plain", "deliver", "seed"]
)  # fmt: skip
NUMBERS = st.integers(-2, 6) | st.sampled_from([0.0, 0.5, 1.5])
BOUNDS = st.lists(NUMBERS, min_size=1, max_size=4)
JUNK = st.recursive(
    NAMES | NUMBERS | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES, inner, max_size=4)
        | st.builds(lambda kind, b: {kind: b}, st.sampled_from(["int", "float", "log"]), BOUNDS)
        | st.builds(lambda values: {"choice": values}, st.lists(inner, max_size=3))
    ),
    max_leaves=12,
)


@settings(max_examples=120, deadline=None, suppress_health_check=QUIET)
@given(st.dictionaries(NAMES, JUNK, max_size=4), st.dictionaries(NAMES, JUNK, max_size=4))
def test_no_document_raises_anything_else(stage, document):
    base = {"model": {"preset": "cnn8"}}
    stages = {"a": {**base, **stage}, "b": {"source": "a", **base, **stage}}
    whole = {"dmtsearch": 1, "data": {"name": "digits"}, **document, "stages": stages}
    problems = ()
    try:
        parse_space(emit(whole), "x.yaml")
    except ScheduleError as error:
        problems = error.problems or ("nothing is said",)
    assert all("x.yaml" in problem for problem in problems)


def holes(values):
    return st.one_of(
        values,
        st.lists(values, min_size=1, max_size=3, unique=True).map(lambda v: {"choice": v}),
    )


STAGE = st.fixed_dictionaries(
    {},
    optional={
        "epochs": holes(st.integers(1, 9)),
        "keep": holes(st.sampled_from(["best", "last"])),
        "soft": st.sampled_from(
            [
                "none",
                {"weight": {"float": [0.1, 0.9, 0.2]}},
                {"choice": ["none", {"temperature": {"log": [1, 20]}}]},
            ]
        ),
        "merit": st.sampled_from(
            [
                {"choice": ["none", {"rule": "hard"}]},
                {"rule": {"choice": ["delta", "soft"]}, "increment": {"float": [0, 0.1]}},
            ]
        ),
        "hints": st.sampled_from(
            [
                {"choice": {"no": [], "yes": [{"source": {"choice": ["x", 0.5]}, "at": "y"}]}},
                [{"source": "x", "at": "y", "weight": {"choice": [0, 1]}}],
            ]
        ),
        "hint_phase": st.sampled_from([{"epochs": {"int": [0, 4, 2]}}, "none"]),
        "repeat": st.sampled_from([0, 2, {"int": [0, 2]}, {"choice": {"none": 0, "two": 2}}]),
    },
)


@settings(max_examples=40, deadline=None, suppress_health_check=QUIET)
@given(STAGE, STAGE, st.integers(0, 5))
def test_what_loads_can_be_drawn_and_is_a_plain_schedule(assistant, student, seed):
    stages = {
        "teacher": {"model": {"preset": "cnn8"}},
        "assistant": {"source": "teacher", "model": {"preset": "cnn12"}, **assistant},
        "student": {"source": "assistant", "model": {"preset": "cnn16"}, **student},
    }
    document = {"dmtsearch": 1, "data": {"name": "digits"}, "stages": stages}
    try:
        space = parse_space(emit(document), "x.yaml")
    except ScheduleError:
        return  # an idle field without a hole beside it
    drawn = space.draw(seed)
    again = parse_schedule(dump_schedule(drawn), "x.yaml")
    assert again == drawn
    assert expand(again) == expand(drawn)
    assert set(space.sample(seed)) <= {hole.name for hole in space.holes}
