"""Properties that hold for any text, any plain data and any schedule."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import dump_schedule, emit, expand, parse_document, parse_schedule

TRICKY = [
    "no",
    "off",
    "1e-3",
    "1_0",
    "null",
    "~",
    "",
    " a",
    "a ",
    "a: b",
    "a #b",
    "- a",
    "[",
    "'",
    '"',
    "\\",
    "\n",
    "\t",
    "é",
    "\x7f",
    "\u2028",
    "\ufeff",
    "😀",
    "0o7",
    ".inf",
    "=",
    "<<",
    "true",
    "y",
    "2026-01-01",
    "a" * 200,
    "%",
    "@a",
    "`a",
    "!a",
    "&a",
    "*a",
    "1:30",
]


@pytest.mark.parametrize("text", TRICKY)
def test_a_tricky_text_stays_the_same_text(text):
    plain = {"k": text, "args": {text: [text]}}
    assert parse_document(emit(plain), "x.yaml")[0] == plain


SCALARS = (
    st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
PLAIN = st.recursive(
    SCALARS | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(st.dictionaries(TEXTS, PLAIN, min_size=1, max_size=4))
def test_any_plain_data_survives_the_way_through_text(plain):
    text = emit(plain)
    again = parse_document(text, "x.yaml")[0]
    assert again == plain
    assert emit(again) == text


OPTIONAL = {
    "epochs": st.integers(0, 50),
    "keep": st.sampled_from(["best", "last"]),
    "soft": st.just("none")
    | st.fixed_dictionaries(
        {},
        optional={
            "temperature": st.floats(0.1, 20) | st.integers(1, 20),
            "weight": st.floats(0, 1),
            "until": st.floats(0, 1),
            "standardise": st.booleans(),
        },
    ),
    "merit": st.just("none")
    | st.fixed_dictionaries({"rule": st.sampled_from(["hard", "soft"])}, optional={
        "placebo": st.sampled_from(["none", "mean", "shuffle"])}),
    "hints": st.just("none")
    | st.lists(
        st.fixed_dictionaries(
            {"source": st.sampled_from(["block1", "features.0"]) | st.floats(0, 1),
             "at": st.sampled_from(["block1", "0.5"]) | st.floats(0, 1)},
            optional={"weight": st.floats(0, 5), "scale": st.sampled_from(["none", "unit"])},
        ),
        max_size=2,
    ),
    "optimizer": st.fixed_dictionaries(
        {},
        optional={
            "lr": st.floats(1e-6, 1),
            "schedule": st.sampled_from(["one_cycle", "constant", "cosine", "step"]),
            "batch": st.integers(1, 512),
        },
    ),
    "hard": st.fixed_dictionaries({}, optional={"smoothing": st.floats(0, 0.9)}),
    "augment": st.sampled_from(["none", "crop_flip"]),
}  # fmt: skip
STUDENTS = st.fixed_dictionaries({}, optional=OPTIONAL)


def schedule_of(student, repeat, seed):
    if student.get("soft") == "none":
        student = {k: v for k, v in student.items() if k != "merit"}
    stages = {
        "teacher": {"model": {"preset": "cnn8"}},
        "assistant": {"repeat": repeat, "source": "teacher", "model": {"preset": "cnn12"}},
        "student": {"source": "assistant", "model": {"family": "plain", "base": 8}, **student},
    }
    document = {"dmtsearch": 1, "seed": seed, "data": {"name": "digits"}, "stages": stages}
    return parse_schedule(emit(document), "x.yaml")


@QUICK
@given(STUDENTS, st.integers(0, 3), st.integers())
def test_any_schedule_dumps_and_loads_as_itself(student, repeat, seed):
    schedule = schedule_of(student, repeat, seed)
    text = dump_schedule(schedule)
    again = parse_schedule(text)
    assert again == schedule
    assert dump_schedule(again) == text
    assert expand(again) == expand(schedule)


DEFAULTS = {
    "epochs": 20,
    "keep": "last",
    "merit": "none",
    "hints": [],
    "hint_phase": "none",
    "augment": "none",
    "switch": {"when": "epochs"},
    "compile": False,
    "resources": {"cpu": 1},
    "init": "none",
}


@QUICK
@given(STUDENTS, st.sets(st.sampled_from(sorted(DEFAULTS))), st.booleans())
def test_a_default_written_out_is_a_default_left_out(student, names, inherited):
    bare = {name: value for name, value in student.items() if name not in names}
    if bare.get("soft") == "none":
        bare.pop("merit", None)
    written = {**bare, **{name: DEFAULTS[name] for name in names}}
    short = expand(schedule_of(bare, 1, 0)).stages
    assert expand(schedule_of(written, 1, 0)).stages == short
    if inherited:
        document = {
            "dmtsearch": 1,
            "data": {"name": "digits"},
            "defaults": {name: DEFAULTS[name] for name in names},
            "stages": {
                "teacher": {"model": {"preset": "cnn8"}},
                "assistant": {
                    "repeat": 1,
                    "source": ["teacher"],
                    "model": {"preset": "cnn12"},
                },
                "student": {
                    "source": ["assistant"],
                    "model": {"family": "plain", "widths": [8, 16, 32, 64], "convs": [2, 2, 2, 2]},
                    **bare,
                },
            },
        }
        assert expand(parse_schedule(emit(document))).stages == short


def only_a_schedule_error(text):
    problems = ()
    try:
        parse_schedule(text, "x.yaml")
    except ScheduleError as error:
        problems = error.problems or ("nothing is said",)
    assert all("x.yaml" in problem for problem in problems)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data):
    only_a_schedule_error(data)


YAML_BITS = st.lists(
    st.sampled_from(
        ["a", ": ", "- ", "\n", "  ", "[", "]", "{", "}", ",", "&x ", "*x", "!t ", "? ", "|", ">",
         '"', "'", "#", "---\n", "...\n", "%YAML 1.2\n", "%TAG ! x\n", "\t", "1e-3", "<<", "@",
         "\\x", "dmtsearch: 1\n", "stages:\n", "model: ", "\ud800", "\x00", "\x85", "é", "!!int "]
    ),
    max_size=25,
).map("".join)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(YAML_BITS)
def test_no_text_raises_anything_else(text):
    only_a_schedule_error(text)


FIELDS = st.sampled_from(
    ["dmtsearch", "data", "stages", "defaults", "model", "source", "soft", "hints", "repeat",
     "select", "size", "between", "a", "b", "deliver", "init", "at", "epoch", "stage", "family",
     "plain", "all", "none", "cnn8", "preset", "widths", "order", "merit", "rule", "delta",
     "search", "choice", "int", "name", "hint_phase", "epochs"]
)  # fmt: skip
JUNK = st.recursive(
    FIELDS | st.integers(-2, 40) | st.floats(-1, 2) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=5),
    max_leaves=15,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(FIELDS, JUNK, max_size=5), st.dictionaries(FIELDS, JUNK, max_size=5))
def test_no_document_raises_anything_else(document, stages):
    only_a_schedule_error(emit({"a": 1, **document}))
    head = {"dmtsearch": 1, "data": {"name": "digits"}}
    only_a_schedule_error(emit({**head, **document, "stages": stages}))
    nested = {name: {"model": {"preset": "cnn8"}, "x": stage} for name, stage in stages.items()}
    stage = {"model": {"preset": "cnn8"}, **stages}
    only_a_schedule_error(emit({**head, "stages": {"a": stage, "b": stage, **nested}}))
