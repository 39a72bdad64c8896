"""The names that a schedule may use are the rows of the tables in the rooms that have the code."""

import pytest

from dmtsearch import names
from dmtsearch.engine.pruning import PRUNERS
from dmtsearch.engine.samplers import SAMPLERS
from dmtsearch.models.presets import PRESETS
from dmtsearch.models.spec import FAMILIES, SIZED
from dmtsearch.schedule.model import FAMILIES as CLASSES
from dmtsearch.space import RECIPES


@pytest.mark.parametrize(
    ("known", "table"),
    [
        pytest.param(names.FAMILIES, FAMILIES, id="families"),
        pytest.param(names.FAMILIES, CLASSES, id="classes of families"),
        pytest.param(names.SIZED_FAMILIES, SIZED, id="families with sizes"),
        pytest.param(names.PRESETS, PRESETS, id="presets"),
        pytest.param(names.SAMPLERS, {*SAMPLERS, "grid"}, id="samplers"),
        pytest.param(names.PRUNERS, PRUNERS, id="pruners"),
        pytest.param(names.ARMS, RECIPES, id="control arms"),
    ],
)
def test_names_are_those_of_the_table(known, table):
    assert sorted(known) == sorted(table)
