"""Odd documents of both kinds, through the reader of text: only our errors come out."""

import json

import pytest
from made_documents import odd_document

from dmtsearch.data import describe_data
from dmtsearch.errors import DmtSearchError
from dmtsearch.schedule import dump_schedule, expand, parse_schedule
from dmtsearch.space import parse_space
from dmtsearch.stage_kinds import resolve


def read_as_space(text, *, whole=True):
    """Read a space; if `whole`, also build its models' skeletons, which is what takes time."""
    try:
        space = parse_space(text, "x.yaml")
    except DmtSearchError as error:
        return str(error)
    schedule = space.anchor()
    parse_schedule(dump_schedule(schedule), "again.yaml")
    json.dumps([hole.as_dict() for hole in space.holes])
    try:
        space.size()
        if whole:
            resolve(schedule, describe_data(name="digits"), num_train=1000, num_selector=100)
    except DmtSearchError as error:
        return str(error)
    return ""


def read_as_schedule(text, *, whole=True):
    try:
        schedule = parse_schedule(text, "x.yaml")
    except DmtSearchError as error:
        return str(error)
    expand(schedule)
    if not whole:
        return ""
    try:
        resolve(schedule, describe_data(name="digits"), num_train=1000, num_selector=100)
    except DmtSearchError as error:
        return str(error)
    return ""


def only_our_errors(read, seeds, *, whole_every=1):
    for seed in seeds:
        try:
            said = read(odd_document(seed), whole=seed % whole_every == 0)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
        assert "\x1b" not in said, f"seed {seed}"


def test_odd_spaces_raise_only_our_errors():
    only_our_errors(read_as_space, range(60))


def test_odd_schedules_raise_only_our_errors():
    only_our_errors(read_as_schedule, range(60, 180))


@pytest.mark.fuzz
@pytest.mark.parametrize("part", range(10))
def test_20000_odd_spaces_raise_only_our_errors(part):
    only_our_errors(read_as_space, range(2_000 * part, 2_000 * (part + 1)), whole_every=10)


@pytest.mark.fuzz
@pytest.mark.parametrize("part", range(10))
def test_20000_odd_schedules_raise_only_our_errors(part):
    only_our_errors(read_as_schedule, range(2_000 * part, 2_000 * (part + 1)), whole_every=10)
