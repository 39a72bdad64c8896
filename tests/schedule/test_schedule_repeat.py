"""`repeat`: copies in a chain, and removed stages linked over."""

import pytest
from schedule_texts import HEAD, problems_of, stages_of

from dmtsearch.schedule import SourceRef, expand, parse_schedule


def chain(repeat: int, more: str = "", tail: str = "") -> str:
    return f"""{HEAD}stages:
  teacher: {{model: {{preset: cnn8}}}}
  assistant: {{repeat: {repeat}, source: teacher, model: {{preset: cnn12}}{more}}}
  student: {{source: assistant, model: {{preset: cnn16}}{tail}}}
"""


def links(text: str) -> dict[str, list[str]]:
    return {
        name: [source.stage for source in stage.sources] for name, stage in stages_of(text).items()
    }


def test_copies_learn_each_from_the_one_before():
    assert links(chain(2)) == {
        "teacher": [],
        "assistant_1": ["teacher"],
        "assistant_2": ["assistant_1"],
        "student": ["assistant_2"],
    }


def test_one_copy_has_a_number_too():
    assert links(chain(1)) == {
        "teacher": [],
        "assistant_1": ["teacher"],
        "student": ["assistant_1"],
    }


def test_no_copy_links_its_neighbours():
    assert links(chain(0)) == {"teacher": [], "student": ["teacher"]}


def test_a_copy_has_the_path_of_its_declared_stage():
    stages = stages_of(chain(2))
    assert stages["assistant_2"].path == "stages.assistant"


def test_any_number_of_removed_stages_is_linked_over():
    text = f"""{HEAD}stages:
  t: {{model: {{preset: cnn8}}}}
  u: {{model: {{preset: cnn8}}}}
  a: {{repeat: 0, source: [t, u], model: {{preset: cnn12}}}}
  b: {{repeat: 0, source: a, model: {{preset: cnn12}}}}
  c: {{repeat: 0, source: [b, t], model: {{preset: cnn12}}}}
  s: {{source: c, model: {{preset: cnn16}}}}
"""
    assert links(text)["s"] == ["t", "u"]


def test_a_removed_first_stage_leaves_labels_alone():
    text = f"""{HEAD}stages:
  t: {{repeat: 0, model: {{preset: cnn8}}}}
  s: {{source: t, model: {{preset: cnn16}}, soft: {{weight: 0.3}}, merit: {{rule: hard}},
      hints: [{{source: block1, at: block1}}], hint_phase: {{epochs: 3}}}}
"""
    stage = stages_of(text)["s"]
    assert (stage.sources, stage.soft, stage.merit) == ((), None, None)
    assert (stage.hints, stage.hint_phase) == ((), None)


def test_hints_follow_the_links():
    hints = ", hints: [{source: SOURCE.block1, at: block1}]"
    first = hints.replace("SOURCE", "teacher")
    last = hints.replace("SOURCE", "assistant")
    stages = stages_of(chain(2, first, last))
    assert [stages[name].hints[0].stage for name in ("assistant_1", "assistant_2", "student")] == [
        "teacher",
        "assistant_1",
        "assistant_2",
    ]
    removed = stages_of(chain(0, first, last))["student"].hints[0]
    assert (removed.stage, removed.source) == ("teacher", "block1")


def test_a_hint_to_a_removed_stage_without_sources_is_gone():
    text = f"""{HEAD}stages:
  t: {{model: {{preset: cnn8}}}}
  u: {{repeat: 0, model: {{preset: cnn8}}}}
  s: {{source: [t, u], model: {{preset: cnn16}}, hints: [{{source: u.block1, at: block1}},
      {{source: t.block2, at: block2}}]}}
"""
    stage = stages_of(text)["s"]
    assert [(hint.stage, hint.source) for hint in stage.hints] == [("t", "block2")]


def test_all_reaches_every_copy():
    text = chain(2).replace("source: assistant,", "source: all,")
    assert links(text)["student"] == ["teacher", "assistant_1", "assistant_2"]
    text = chain(2).replace("source: teacher,", "source: all,")
    assert links(text)["assistant_2"] == ["teacher", "assistant_1"]
    text = chain(0).replace("source: teacher,", "source: all,")
    assert links(text)["student"] == ["teacher"]


def test_an_epoch_of_a_repeated_stage_is_its_last_copys():
    text = chain(2).replace("source: assistant,", "source: {stage: assistant, epoch: 3},")
    assert stages_of(text)["student"].sources == (SourceRef("assistant_2", 3),)
    # Of a removed stage there is no such epoch; its source is taken as it ends.
    text = text.replace("repeat: 2", "repeat: 0")
    assert stages_of(text)["student"].sources == (SourceRef("teacher"),)


def test_a_repeated_first_stage_teaches_itself():
    text = f"""{HEAD}stages:
  a: {{repeat: 3, model: {{preset: cnn8}}, soft: {{weight: 0.3}}}}
"""
    assert links(text) == {"a_1": [], "a_2": ["a_1"], "a_3": ["a_2"]}
    stages = stages_of(text)
    assert stages["a_1"].soft is None
    assert stages["a_3"].soft.weight == 0.3
    assert expand(parse_schedule(text)).deliver == "a_3"


def test_the_name_means_the_last_copy_wherever_it_stands():
    text = f"""{HEAD}deliver: b
stages:
  a: {{repeat: 2, model: {{preset: cnn8}}}}
  c: {{source: a, model: {{family: plain, size: {{at: 0.5, between: [a, b]}}}}}}
  b: {{repeat: 2, source: c, init: a, model: {{preset: cnn8}}}}
"""
    expanded = expand(parse_schedule(text))
    assert expanded.deliver == "b_2"
    assert expanded.stage("c").model["size"] == {"at": 0.5, "between": ["a_2", "b_2"]}
    assert expanded.stage("b_1").init == "a_2"


def test_a_size_spans_the_chain_that_is_left():
    text = chain(2, ", epochs: 3").replace("preset: cnn12", "family: plain, size: 0.5")
    assert stages_of(text)["assistant_2"].model["size"]["between"] == ["teacher", "student"]


def test_whoever_goes_on_from_a_removed_stage_goes_on_from_where_it_would_have():
    text = f"""{HEAD}stages:
  a: {{model: {{preset: cnn8}}}}
  b: {{repeat: 0, init: a, source: a, model: {{preset: cnn8}}}}
  c: {{init: b, source: b, model: {{preset: cnn8}}}}
"""
    assert stages_of(text)["c"].init == "a"
    text = text.replace("init: a, ", "")
    assert stages_of(text)["c"].init is None


def test_a_selector_reads_what_stands_in_for_a_removed_stage():
    text = f"""{HEAD}stages:
  big: {{modality: iris, model: {{preset: cnn8}}}}
  iris: {{repeat: 0, modality: iris, source: big, model: {{preset: cnn12}}}}
  peri: {{modality: peri, model: {{preset: cnn8}}}}
  mms: {{select: [iris, peri], model: {{family: mlp, hidden: [8]}}}}
"""
    assert stages_of(text)["mms"].select.stages == ("big", "peri")
    text = text.replace("source: big, ", "").replace(
        "  big: {modality: iris, model: {preset: cnn8}}\n", ""
    )
    assert problems_of(text) == (
        "stages.mms.select: `repeat: 0` leaves fewer than two stages to select from  (x.yaml:6)",
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            f"{HEAD}stages:\n  a: {{repeat: 0, model: {{preset: cnn8}}}}\n",
            "stages: nothing is left: `repeat: 0` removes every stage  (x.yaml:4)",
        ),
        (
            f"{HEAD}deliver: b\nstages:\n  a: {{model: {{preset: cnn8}}}}\n"
            "  b: {repeat: 0, init: a, model: {preset: cnn8}}\n",
            "deliver: `repeat: 0` removes the delivered stage, which has no source to deliver "
            "instead, got 'b'  (x.yaml:3)",
        ),
        (
            f"{HEAD}stages:\n  a: {{model: {{preset: cnn8}}}}\n  b: {{model: {{preset: cnn8}}}}\n"
            "  c: {repeat: 0, source: [a, b], model: {preset: cnn8}}\n",
            "stages: with `repeat: 0`, nobody reads 'a', 'b'; say which is the result with "
            "`deliver: NAME`  (x.yaml:4)",
        ),
        (
            chain(0).replace("preset: cnn16", "family: plain, size: 0.5"),
            "stages.student.model.size: the stage is itself its chain's end, so a size between "
            "start and end says nothing; write widths  (x.yaml:6)",
        ),
        (
            f"{HEAD}stages:\n  z: {{repeat: 0, model: {{preset: cnn8}}}}\n"
            "  a: {source: z, model: {family: plain, size: {at: 0.5, between: [z, b]}}}\n"
            "  b: {source: a, model: {preset: cnn8}}\n",
            "stages.a.model.size: its start was removed by `repeat: 0`; name another in between  "
            "(x.yaml:5)",
        ),
    ],
)
def test_what_removal_breaks_is_told(text, problem):
    assert problems_of(text) == (problem,)


def test_a_removed_delivered_stage_delivers_its_source():
    text = chain(2).replace("repeat: 2, ", "") + "deliver: student\n"
    text = text.replace("source: assistant,", "repeat: 0, source: assistant,")
    assert expand(parse_schedule(text)).deliver == "assistant"
