"""A context that is entered beside other work, as Ray is started while data are read."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dmtsearch.engine import Beside


@contextmanager
def noting(
    notes: list[str], ready: threading.Event, error: Exception | None = None
) -> Iterator[None]:
    assert ready.wait(10)
    if error is not None:
        raise error
    notes.append("entered")
    try:
        yield
    finally:
        notes.append("left")


def test_the_body_goes_on_while_a_context_is_entered_and_leaves_it_at_its_end() -> None:
    notes: list[str] = []
    ready = threading.Event()
    with Beside(noting(notes, ready)) as starting:
        notes.append("body")
        ready.set()
        starting.wait()
        notes.append("both")
    assert notes == ["body", "entered", "both", "left"]


def test_work_waits_until_the_context_is_entered_and_its_failure_ends_nothing() -> None:
    notes: list[str] = []
    ready, done = threading.Event(), threading.Event()
    with Beside(noting(notes, ready)) as starting:
        starting.once_entered(lambda: notes.index("no such note"))
        starting.once_entered(lambda: notes.append("worked") or done.set())
        notes.append("body")
        ready.set()
        assert done.wait(10)
    assert notes == ["body", "entered", "worked", "left"]
    # Where it is never entered nothing is done.
    late: list[str] = []
    with (
        pytest.raises(OSError, match="no room"),
        Beside(noting(late, ready, OSError("no room"))) as starting,
    ):
        starting.once_entered(lambda: late.append("worked"))
    assert late == []


def fail_beside(notes: list[str], error: Exception | None) -> None:
    ready = threading.Event()
    with Beside(noting(notes, ready, error)):
        ready.set()
        raise ValueError("no data")


def test_an_error_in_the_body_counts_first_and_leaves_nothing_entered() -> None:
    for error, found in ((None, ["entered", "left"]), (OSError("no room"), [])):
        notes: list[str] = []
        with pytest.raises(ValueError, match="no data"):
            fail_beside(notes, error)
        assert notes == found


def test_who_waits_gets_the_error_of_a_context_that_cannot_be_entered() -> None:
    ready = threading.Event()
    ready.set()
    with (
        pytest.raises(OSError, match="no room"),
        Beside(noting([], ready, OSError("no room"))) as starting,
    ):
        starting.wait()


@contextmanager
def unleavable() -> Iterator[None]:
    yield
    raise OSError("no way out")


def test_a_context_that_cannot_be_entered_or_left_is_no_success() -> None:
    ready = threading.Event()
    ready.set()
    with pytest.raises(OSError, match="no room"), Beside(noting([], ready, OSError("no room"))):
        pass
    with pytest.raises(OSError, match="no way out"), Beside(unleavable()):
        pass
