"""A run folder from Python: what `Run` reads of it, and how it shows itself."""

import shutil

import pytest

import dmtsearch
from dmtsearch.engine import Tables, read_state
from dmtsearch.errors import UsageError


def test_a_run_is_opened_by_the_path_of_its_folder(full_run, tmp_path):
    copy = shutil.copytree(full_run, tmp_path / "run")
    found = dmtsearch.Run(str(copy))
    state = read_state(found.paths.ledger)
    Tables(found.paths, ["student.soft.weight"]).write(state)
    found = dmtsearch.Run(str(copy))
    assert found.ended == state.ended.reason
    assert len(found.trials) == len(state.ends)
    assert len(found.stages) == len(state.stages)
    assert found.best is not None
    assert found.best.name in repr(found.best)
    assert repr(found) == f"Run('{copy}', ended='{found.ended}')"
    page = found._repr_html_()
    assert "32 done, 5 pruned, 3 failed" in page
    assert "best of the search" in page


def test_what_is_no_run_folder_is_refused_when_it_is_opened(tmp_path):
    with pytest.raises(UsageError, match="no such folder; a run is made by `dmtsearch search"):
        dmtsearch.Run(str(tmp_path / "typo"))
    with pytest.raises(UsageError, match=r"no run folder: it has no run\.json"):
        dmtsearch.Run(tmp_path)
