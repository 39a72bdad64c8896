"""Every mistake between stages: who reads whom, chains, selectors."""

import pytest
from schedule_texts import HEAD, problems_of

from dmtsearch.schedule import parse_schedule

CHAIN = f"""{HEAD}stages:
  a: {{model: {{preset: cnn8}}}}
  b: {{source: a, model: {{family: plain, widths: [8]}}}}
  c: {{source: a, model: {{family: plain, widths: [4]}}}}
"""

IN_GRAPH = [
    ("", ["stages: nobody reads 'b', 'c'; say which is the result with `deliver: NAME`, and make "
          "the others its sources or drop them  (x.yaml:4)"]),
    ("deliver: b", ["stages.c: does not reach 'b', which is delivered; make it a source on the "
                    "way, or drop it  (x.yaml:6)"]),
    ("deliver: a", ["stages.b: does not reach 'a', which is delivered; make it a source on the "
                    "way, or drop it  (x.yaml:5)",
                    "stages.c: does not reach 'a', which is delivered; make it a source on the "
                    "way, or drop it  (x.yaml:6)"]),
    ("  d: {source: [b, c], model: {preset: cnn8}, hints: [{source: a.block1, at: block1}]}",
     ["stages.d.hints[0].source: stage 'a' is not a source of stage 'd'; its sources: b, c  "
      "(x.yaml:7)"]),
    ("  d: {source: all, model: {preset: cnn8}, hints: [{source: e.block1, at: block1}]}\n"
     "  e: {source: d, model: {preset: cnn8}}",
     ["stages.d.hints[0].source: stage 'e' is not a source of stage 'd'; its sources: a, b, c  "
      "(x.yaml:7)"]),
    ("  d: {source: [b, c, e], model: {preset: cnn8}}\n  e: {model: {preset: cnn8}}",
     ["stages.d.source[2]: stage 'e' stands later; a stage may name only earlier ones, so move "
      "it up  (x.yaml:7)"]),
    ("  d: {source: [b, c], model: {family: plain, size: 0.5}}",
     ["stages.d.model.size: the stage is itself its chain's end, so a size between start and end "
      "says nothing; write widths  (x.yaml:7)"]),
    ("  d: {source: [b, c], model: {preset: cnn8}, init: b}",
     []),
    ("  d: {source: [b, c], model: {family: plain, widths: [9]}, init: b}",
     ["stages.d.init: stage 'b' has another model; init needs the same one, so that its weights "
      "fit  (x.yaml:7)"]),
    ("  d: {source: [b, c], model: {preset: cnn12, weights: w.safetensors}, init: a}",
     ["stages.d.init: cannot stand together with model.weights; drop one of them  (x.yaml:7)",
      "stages.d.init: stage 'a' has another model; init needs the same one, so that its weights "
      "fit  (x.yaml:7)"]),
]  # fmt: skip


@pytest.mark.parametrize(("more", "problems"), IN_GRAPH)
def test_a_mistake_between_stages_gets_one_sentence(more, problems):
    text = CHAIN + more
    if problems:
        assert list(problems_of(text)) == problems
    else:
        assert parse_schedule(text).where == "<text>"


def test_a_size_on_several_chains_needs_its_ends_named():
    text = CHAIN.replace("{family: plain, widths: [8]}", "{family: plain, size: 0.5}") + (
        "  d: {source: b, model: {preset: cnn16}}\n  e: {source: [b, c], model: {preset: cnn16}}\n"
        "  s: {source: [d, e], model: {preset: cnn16}}\n"
    )
    parse_schedule(text)  # several ways, but one start and one end
    two = text.replace("  b: {source: a", "  a2: {model: {preset: cnn8}}\n  b: {source: [a, a2]")
    assert problems_of(two) == (
        "stages.b.model.size: several chains go through this stage (starts a, a2); write `size: "
        "{at: S, between: [START, END]}`  (x.yaml:6)",
    )


def test_a_chain_cannot_start_with_a_relative_size():
    text = f"""{HEAD}stages:
  a: {{model: {{family: plain, size: {{at: 0.5, between: [b, c]}}}}}}
  b: {{source: a, model: {{family: plain, size: 0.5}}}}
  c: {{source: b, model: {{preset: cnn16}}}}
"""
    assert problems_of(text) == (
        "stages.a.model.size: its start 'b' has only a relative size itself; give that one "
        "widths, a preset or `size: {params: N}`  (x.yaml:4)",
        "stages.b.model.size: its start 'a' has only a relative size itself; give that one "
        "widths, a preset or `size: {params: N}`  (x.yaml:5)",
    )


def test_a_chain_may_start_with_an_absolute_size():
    text = f"""{HEAD}stages:
  a: {{model: {{family: plain, size: {{params: 90000}}}}}}
  b: {{source: a, model: {{family: plain, size: 0.5}}}}
  c: {{source: b, model: {{preset: cnn16}}}}
"""
    assert parse_schedule(text).stages["a"].model.size.params == 90000


SELECT = f"""{HEAD}stages:
  iris: {{modality: iris, model: {{preset: cnn8}}}}
  peri: {{modality: periocular, model: {{preset: cnn8}}}}
  other: {{modality: iris, model: {{preset: cnn8}}}}
  mms: {{select: [iris, peri], model: {{family: mlp, hidden: [8]}}"""

IN_SELECT = [
    ("source: iris", "source: has no effect: a `select` stage learns from the outputs of the "
     "stages it selects; drop the field"),
    ("soft: {weight: 1}", "soft: has no effect: a `select` stage learns from the outputs of the "
     "stages it selects; drop the field"),
    ("modality: iris", "modality: has no effect: a `select` stage learns from the outputs of the "
     "stages it selects; drop the field"),
    ("inputs: moments, k: 3", "k: has no effect: inputs is moments, and only topk has k; drop "
     "the field"),
    ("inputs: top", "inputs: must be topk, posterior, logits or moments, got 'top'; did you mean "
     "'topk'?"),
    ("degrade: [{kind: noise}]", "degrade[0].severity: is missing"),
    ("degrade: [{kind: noise, severity: [0.5, 0.1]}]", "degrade[0].severity: must be [low, "
     "high], 0 <= low <= high <= 1, got [0.5, 0.1]"),
    ("target: best", "target: must be undegraded or right, got 'best'"),
    ("decsion: hard", "decsion: no field 'decsion' here; did you mean 'decision'?"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "problem"), IN_SELECT, ids=[case[0] for case in IN_SELECT])
def test_a_mistake_in_a_selector_gets_one_sentence(fields, problem):
    text = SELECT.replace("  other: {modality: iris, model: {preset: cnn8}}\n", "")
    assert problems_of(f"{text}, {fields}}}\n") == (f"stages.mms.{problem}  (x.yaml:6)",)


SELECTED = [
    ("[iris, other]", "[1]: stages 'iris' and 'other' read the same modality 'iris'; select "
     "needs unlike ones"),
    ("[iris]", ": must name at least two stages to select from, got ['iris']"),
    ("[iris, pery]", "[1]: no stage called 'pery'; did you mean 'peri'?"),
    ("[iris, face]", "[1]: no stage called 'face'; a modality needs a classifier, a stage with "
     "`modality: face`; known: iris, peri, other"),
    ("[iris, mms]", "[1]: a stage cannot name itself, got 'mms'"),
    ("iris", ": must be a list, got 'iris'"),
]  # fmt: skip


@pytest.mark.parametrize(("select", "problem"), SELECTED)
def test_what_a_selector_selects_must_be_unlike(select, problem):
    text = SELECT.replace("[iris, peri]", select) + "}\n"
    assert f"stages.mms.select{problem}  (x.yaml:7)" in problems_of(text)


def test_a_selector_is_small_and_no_source():
    text = f"""{HEAD}stages:
  iris: {{modality: iris, model: {{preset: cnn8}}}}
  peri: {{modality: periocular, model: {{preset: cnn8}}}}
  mms: {{select: [iris, peri], model: {{preset: cnn8}}}}
  more: {{select: [iris, mms], model: {{family: mlp, hidden: [4]}}}}
  last: {{source: mms, init: mms, modality: iris, model: {{family: plain, size: {{at: 0.5,
    between: [iris, mms]}}}}}}
"""
    assert problems_of(text) == (
        "stages.mms.model.preset: a `select` stage reads outputs, not images; use family: mlp or "
        "a factory, got 'cnn8'  (x.yaml:6)",
        "stages.more.select[1]: is itself a selector; name the stages that it selects from, got "
        "'mms'  (x.yaml:7)",
        "stages.last.source: is a selector, which has no map to learn from, got 'mms'  (x.yaml:8)",
        "stages.last.init: is a selector, which has no weights to go on from, got 'mms'  "
        "(x.yaml:8)",
        "stages.last.model.size.between[1]: is a selector, which has no size to go by, got 'mms'  "
        "(x.yaml:9)",
    )


def test_a_selector_without_a_model_is_shown_one_that_it_may_have():
    text = SELECT.replace("  other: {modality: iris, model: {preset: cnn8}}\n", "")
    text = text.replace(", model: {family: mlp, hidden: [8]}", "}\n")
    assert problems_of(text) == (
        "stages.mms.model: is missing; write `model: {family: mlp, hidden: [32]}` or a factory  "
        "(x.yaml:6)",
    )


def test_each_stage_of_several_modalities_says_what_it_reads():
    text = f"""{HEAD}stages:
  iris: {{modality: iris, model: {{preset: cnn8}}}}
  peri: {{model: {{preset: cnn8}}}}
  mms: {{select: [iris, peri], model: {{family: mlp, hidden: []}}}}
"""
    assert problems_of(text) == (
        "stages.peri.modality: is missing; stage 'iris' reads 'iris', so each stage must say "
        "what it reads  (x.yaml:5)",
        "stages.mms.select[1]: stage 'peri' names no modality; select needs one of each  "
        "(x.yaml:6)",
    )
