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
    "",
    "deliver: b",
    "deliver: a",
    "  d: {source: [b, c], model: {preset: cnn8}, hints: [{source: d.block1, at: block1}]}",
    "  d: {source: all, model: {preset: cnn8}, hints: [{source: e.block1, at: block1}]}\n"
    "  e: {source: d, model: {preset: cnn8}}",
    "  d: {source: [b, c, e], model: {preset: cnn8}}\n  e: {model: {preset: cnn8}}",
    "  d: {source: [b, c], model: {family: plain, size: 0.5}}",
    "  d: {source: [b, c], model: {family: plain, widths: [9]}, init: b}",
    "  d: {source: [b, c], model: {preset: cnn12, weights: w.safetensors}, init: a}",
]


@pytest.mark.parametrize("more", IN_GRAPH)
def test_a_mistake_between_stages_gets_one_sentence(more, golden):
    golden(more, problems_of(CHAIN + more))


def test_a_stage_may_begin_from_the_weights_of_one_with_another_kind_of_text():
    text = f"{CHAIN}  d: {{source: [b, c], model: {{preset: cnn8}}, init: b}}"
    assert parse_schedule(text).where == "<text>"


def test_a_size_on_several_chains_needs_its_ends_named(golden):
    text = CHAIN.replace("{family: plain, widths: [8]}", "{family: plain, size: 0.5}") + (
        "  d: {source: b, model: {preset: cnn16}}\n  e: {source: [b, c], model: {preset: cnn16}}\n"
        "  s: {source: [d, e], model: {preset: cnn16}}\n"
    )
    parse_schedule(text)  # several ways, but one start and one end
    two = text.replace("  b: {source: a", "  a2: {model: {preset: cnn8}}\n  b: {source: [a, a2]")
    golden("its sentences", problems_of(two))


def test_a_chain_cannot_start_with_a_relative_size(golden):
    text = f"""{HEAD}stages:
  a: {{model: {{family: plain, size: {{at: 0.5, between: [b, c]}}}}}}
  b: {{source: a, model: {{family: plain, size: 0.5}}}}
  c: {{source: b, model: {{preset: cnn16}}}}
"""
    golden("its sentences", problems_of(text))


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
    "source: iris",
    "soft: {weight: 1}",
    "modality: iris",
    "inputs: moments, k: 3",
    "inputs: top",
    "degrade: [{kind: noise}]",
    "degrade: [{kind: noise, severity: [0.5, 0.1]}]",
    "target: best",
    "decsion: hard",
]


@pytest.mark.parametrize("fields", IN_SELECT)
def test_a_mistake_in_a_selector_gets_one_sentence(fields, golden):
    text = SELECT.replace("  other: {modality: iris, model: {preset: cnn8}}\n", "")
    (problem,) = problems_of(f"{text}, {fields}}}\n")
    golden(fields, [problem])


SELECTED = [
    "[iris, other]",
    "[iris]",
    "[iris, pery]",
    "[iris, face]",
    "[iris, mms]",
    "iris",
]


@pytest.mark.parametrize("select", SELECTED)
def test_what_a_selector_selects_must_be_unlike(select, golden):
    text = SELECT.replace("[iris, peri]", select) + "}\n"
    golden(select, problems_of(text))


def test_a_selector_is_small_and_no_source(golden):
    text = f"""{HEAD}stages:
  iris: {{modality: iris, model: {{preset: cnn8}}}}
  peri: {{modality: periocular, model: {{preset: cnn8}}}}
  mms: {{select: [iris, peri], model: {{preset: cnn8}}}}
  more: {{select: [iris, mms], model: {{family: mlp, hidden: [4]}}}}
  last: {{source: mms, init: mms, modality: iris, model: {{family: plain, size: {{at: 0.5,
    between: [iris, mms]}}}}}}
"""
    golden("its sentences", problems_of(text))


def test_a_selector_without_a_model_is_shown_one_that_it_may_have(golden):
    text = SELECT.replace("  other: {modality: iris, model: {preset: cnn8}}\n", "")
    text = text.replace(", model: {family: mlp, hidden: [8]}", "}\n")
    golden("its sentences", problems_of(text))


def test_each_stage_of_several_modalities_says_what_it_reads(golden):
    text = f"""{HEAD}stages:
  iris: {{modality: iris, model: {{preset: cnn8}}}}
  peri: {{model: {{preset: cnn8}}}}
  mms: {{select: [iris, peri], model: {{family: mlp, hidden: []}}}}
"""
    golden("its sentences", problems_of(text))
