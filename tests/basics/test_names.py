"""The names that a schedule may use are the rows of the tables in the rooms that have the code."""

from typing import get_args

import pytest

from dmtsearch import names
from dmtsearch.engine import OBJECTIVES, PRUNERS, SAMPLERS
from dmtsearch.models import FAMILIES, PRESETS, SizedShape
from dmtsearch.schedule import FAMILIES as FORMS
from dmtsearch.schedule import SIZED_FAMILIES

SIZED = [name for name, shape in FAMILIES.items() if issubclass(shape, SizedShape)]


@pytest.mark.parametrize(
    ("known", "table"),
    [
        pytest.param(FORMS, FAMILIES, id="families"),
        pytest.param(SIZED_FAMILIES, SIZED, id="families with sizes"),
        pytest.param(names.PRESETS, PRESETS, id="presets"),
        pytest.param(names.SAMPLERS, {*SAMPLERS, "grid"}, id="samplers"),
        pytest.param(names.PRUNERS, PRUNERS, id="pruners"),
        pytest.param(get_args(names.Objective), OBJECTIVES, id="objectives"),
    ],
)
def test_names_are_those_of_the_table(known, table):
    assert sorted(known) == sorted(table)
