"""Known schedules to start with: which values of the holes make them."""

import pytest
from schedule_texts import HEAD
from space_texts import FINITE

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import dump_schedule, expand
from dmtsearch.space import load_space, parse_space


@pytest.fixture
def folder(tmp_path):
    space = parse_space(FINITE)
    (tmp_path / "known").mkdir()
    (tmp_path / "known" / "one.yaml").write_text(dump_schedule(space.draw(2)))
    (tmp_path / "other.yaml").write_text(
        f"""{HEAD}stages:
  teacher: {{model: {{preset: cnn8}}}}
  assistant: {{repeat: 1, source: [teacher], model: {{convs: 2, family: plain, size: 0.6}},
    hints: none, merit: {{rule: delta, increment: 0.2}}}}
  student: {{source: assistant, model: {{preset: cnn16}}, epochs: 20}}
"""
    )
    return tmp_path


def test_known_schedules_to_start_with_are_found_in_the_space(folder):
    file = folder / "space.yaml"
    file.write_text(FINITE + "search: {start_with: [known/one.yaml, other.yaml]}\n")
    space = load_space(file)
    one, other = space.start_with
    assert expand(space.fill(one)).stages == expand(parse_space(FINITE).draw(2)).stages
    assert other == {
        "assistant.repeat": 1,
        "assistant.1.model.convs": 2,
        "assistant.1.model.size": 0.6,
        "assistant.1.hints": "none",
        "assistant.1.merit": "delta",
        "assistant.1.merit[delta].increment": 0.2,
    }


@pytest.mark.parametrize("seed", range(12))
def test_any_drawn_schedule_is_found_in_its_space(folder, seed):
    space = parse_space(FINITE)
    (folder / "drawn.yaml").write_text(dump_schedule(space.draw(seed)))
    file = folder / "space.yaml"
    file.write_text(FINITE + "search: {start_with: [drawn.yaml]}\n")
    (found,) = load_space(file).start_with
    # Unlike values may have one meaning: `middle`, and `any` with block2 in both places.
    assert expand(space.fill(found)).stages == expand(space.draw(seed)).stages


def test_a_schedule_of_another_space_is_refused(folder):
    (folder / "far.yaml").write_text((folder / "other.yaml").read_text().replace("0.6", "0.5"))
    (folder / "bad.yaml").write_text("dmtsearch: 1\n")
    file = folder / "space.yaml"
    file.write_text(FINITE + "search: {start_with: [far.yaml, bad.yaml, none.yaml]}\n")
    with pytest.raises(ScheduleError, match="4 problems") as caught:
        load_space(file)
    far, data, _stages, none = caught.value.problems
    assert far.startswith("search.start_with[0]: is not a schedule of this space")
    assert "bad.yaml: data: is missing" in data
    assert "none.yaml: no such file" in none
