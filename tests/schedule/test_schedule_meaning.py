"""One meaning has one expansion, and another meaning another."""

import pytest
from schedule_texts import stages_of, text_with

SAME = [
    pytest.param("merit: {rule: delta, increment: 0}", "merit: none", id="no increment"),
    pytest.param("merit: {rule: delta, increment: 0}", "", id="merit is off unless written"),
    pytest.param("merit: {rule: delta}", "merit: {rule: delta, increment: 0.1}",
                 id="the paper's increment"),
    pytest.param("merit: {rule: delta, placebo: none}", "merit: {rule: delta}", id="no placebo"),
    pytest.param("merit: {rule: soft}, soft: {weight: 0.2}", "merit: {rule: soft}",
                 id="rule soft does not read the weight"),
    pytest.param("merit: {rule: hard}, soft: {weight: 0}", "soft: none",
                 id="rule hard moves the weight 0 nowhere"),
    pytest.param("soft: {weight: 0}", "soft: none", id="no weight"),
    pytest.param("soft: {until: 0}", "soft: none", id="never any soft targets"),
    pytest.param("soft: {until: 0}, merit: {rule: hard}", "soft: none",
                 id="merit without soft targets"),
    pytest.param("soft: {until: 0.99}", "", id="the fraction is rounded up to all epochs"),
    pytest.param("soft: {temperature: 4, weight: 0.5, until: 1, standardise: false}", "",
                 id="defaults written out"),
    pytest.param("soft: {}", "", id="an empty block"),
    pytest.param("hard: {weight: 0.5}", "", id="the weight that it has anyway"),
    pytest.param("hard: {weight: 0.7, smoothing: 0}, soft: {weight: 0.3}", "soft: {weight: 0.3}",
                 id="1 - 0.3 is 0.7, whatever it is in binary"),
    pytest.param("soft: {until: 0.5}, hard: {weight: 0.5}", "soft: {until: 0.5}",
                 id="afterwards labels weigh 1 anyway"),
    pytest.param("switch: {when: plateau, patience: 19}, optimizer: {schedule: cosine}",
                 "optimizer: {schedule: cosine}", id="no plateau of 19 in 20 epochs"),
    pytest.param("hints: []", "hints: none", id="no hints in two words"),
    pytest.param("hints: [{source: a, at: b, weight: 0}]", "", id="a hint without weight"),
    pytest.param("hints: [{source: a, at: b, weight: 0}], hint_phase: {epochs: 3}", "",
                 id="a phase of hints without weight"),
    pytest.param("hints: [{source: a, at: b}], hint_phase: {epochs: 0}", "",
                 id="hints that stop after no epochs"),
    pytest.param("hints: [{source: a, at: b}], hint_phase: {epochs: 0, then: stay}",
                 "hints: [{source: a, at: b}]", id="hints that stay from the start"),
    pytest.param("hints: [{source: a, at: b, weight: 1, scale: none, adapter: {kernel: 3, norm: "
                 "true, relu: true}}]", "hints: [{source: teacher.a, at: b}]",
                 id="a hint's defaults, its only source named"),
    pytest.param("hints: [{source: teacher.0.5, at: 1}]", "hints: [{source: 0.5, at: 1.0}]",
                 id="a depth after a stage's name"),
    pytest.param("source: [teacher]", "", id="a list of one"),
    pytest.param("source: all", "", id="all of one"),
    pytest.param("source: {stage: teacher}", "", id="a source in long"),
    pytest.param("source: {stage: teacher, epoch: 20}", "", id="the last epoch"),
    pytest.param("switch: {when: plateau, patience: 5, min_delta: 0, on: val_accuracy}",
                 "switch: {when: plateau}", id="a rule's defaults"),
    pytest.param("switch: {when: epochs}", "switch: {}", id="the default rule"),
    pytest.param("epochs: 20, keep: last, augment: none, compile: false", "", id="stage defaults"),
    pytest.param("optimizer: {name: adamw, weight_decay: 1e-2}", "optimizer: {lr: 3e-3}",
                 id="optimizer defaults"),
    pytest.param("init: none, modality: none", "", id="none is not given"),
    pytest.param("resources: {cpu: 1.0}", "", id="one CPU"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
@pytest.mark.filterwarnings("error")
def test_one_meaning_has_one_expansion(one, other):
    texts = [text_with(fields) for fields in (one, other)]
    for index, fields in enumerate((one, other)):
        if fields.startswith("source"):
            texts[index] = texts[index].replace("source: teacher, ", "")
    assert stages_of(texts[0]) == stages_of(texts[1])


def test_a_source_that_teaches_nothing_is_none():
    assert stages_of(text_with("soft: none"))["student"].sources == ()


UNLIKE = [
    ("soft: {until: 0.95}", ""),
    ("soft: {until: 0.5}, hard: {weight: 0.6}", "soft: {until: 0.5}"),
    ("switch: {when: plateau, patience: 18}", ""),
    ("soft: {temperature: 3}", ""),
    ("merit: {rule: delta}", ""),
    ("merit: {rule: hard}, soft: {weight: 0.2}", "merit: {rule: hard}"),
    ("hard: {smoothing: 0.1}", ""),
    ("hints: [{source: a, at: b}]", ""),
    ("hints: [{source: '0.5', at: b}]", "hints: [{source: 0.5, at: b}]"),
    ("source: {stage: teacher, epoch: 19}", ""),
    ("soft: none, hints: [{source: a, at: b}]", "soft: none"),
]


@pytest.mark.parametrize(("one", "other"), UNLIKE)
def test_another_meaning_has_another_expansion(one, other):
    texts = [text_with(fields) for fields in (one, other)]
    if one.startswith("source"):
        texts[0] = texts[0].replace("source: teacher, ", "")
    assert stages_of(texts[0])["student"] != stages_of(texts[1])["student"]
