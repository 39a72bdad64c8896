"""The best schedule as boxes and links, and where a report's numbers come from."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from made_run import MadeRun

from dmtsearch.reporting import (
    Box,
    Chain,
    Link,
    caveats,
    draw_chain,
    flatten,
    gather_chain,
    provenance,
    read_run,
    summarize,
    weak_sources,
)
from dmtsearch.space import parse_space

DENSE = """\
dmtsearch: 1
name: dense
data: {name: fashion_mnist, train: 6000, val: 10000}
stages:
  teacher: {model: {family: plain, widths: [16, 32, 64, 128]}}
  middle:
    source: teacher
    model: {family: plain, size: 0.7}
    merit: {rule: delta, increment: 0.1}
  student:
    source: [{stage: teacher, epoch: 5}, middle]
    model: {family: plain, widths: [4, 8, 16, 32]}
    soft: {weight: {choice: [0.3, 0.6]}, until: 0.8}
    hints: [{source: middle.block2, at: block3, weight: 0.1}]
"""


@pytest.fixture
def dense(tmp_path):
    run = MadeRun(tmp_path / "dense", parse_space(DENSE, "space.yaml"))
    run.start(DENSE)
    values = {"student.soft.weight": 0.6}
    run.finish(run.propose("search", run.space.fill(values), values), 0.85)
    return run


def test_a_chain_tells_soft_merit_hints_and_earlier_states(dense):
    record = read_run(dense.stop())
    chain = gather_chain(record, record.trials[0].asked)
    assert [(box.name, box.params, box.delivered) for box in chain.boxes] == [
        ("teacher", 327_674, False),
        ("middle", 189_096, False),
        ("student", 52_430, True),
    ]
    assert chain.boxes[2].accuracy == 0.85
    soft = "soft: T 4, weight 0.6, first 80 % of epochs"
    assert [(link.source, link.target, link.words, link.hint) for link in chain.links] == [
        ("teacher", "middle", ("soft: T 4, weight 0.5", "merit: delta ±0.1"), False),
        ("teacher", "student", (soft, "as it was after epoch 5"), False),
        ("middle", "student", (soft, "hint: block2 → block3, weight 0.1"), True),
    ]


def test_a_source_no_better_than_what_learns_from_it_is_a_caveat(dense):
    summary = summarize(read_run(dense.stop()))
    boxes = tuple(
        replace(box, accuracy=accuracy)
        for box, accuracy in zip(summary.chain.boxes, (0.9, 0.85, 0.85), strict=True)
    )
    chain = replace(summary.chain, boxes=boxes)
    # The teacher taught the student as it was after epoch 5, which nobody scored.
    assert weak_sources(chain) == [("middle", 0.85, "student", 0.85)]
    [caveat] = [one for one in caveats(replace(summary, chain=chain)) if "middle" in one]
    assert caveat == (
        "In the schedule to train middle (85.00 % on val) is not above student (85.00 %), which "
        "learned from it."
    )


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        pytest.param(
            [0.17, 0.2],
            "another than the commonest on 17.0 to 20.0 % of 1,500 training samples (median "
            "18.5 %).",
            id="far from constant",
        ),
        pytest.param(
            [0.004, 0.2],
            " In 1 of them it is under 5 %, nearly a constant weight: what they gain, another "
            "fixed `soft.weight` may gain too (compare `merit_matched`).",
            id="nearly constant",
        ),
    ],
)
def test_how_far_merit_is_from_a_constant_weight_is_a_caveat(dense, shares, expected):
    summary = summarize(read_run(dense.stop()))
    lines = list(summary.record.stages.items())
    assert len(lines) >= 2
    stages = {
        key: replace(line, merit={"n": 1500, "mean": 0.6, "commonest": 0.6, "differs": share})
        for (key, line), share in zip(lines, shares, strict=False)
    }
    record = replace(summary.record, stages=stages)
    [caveat] = [one for one in caveats(replace(summary, record=record)) if "Merit, in" in one]
    assert caveat.endswith(expected)
    assert not any("Merit, in" in one for one in caveats(summary))


def test_at_equal_cost_the_epochs_written_are_no_limit_and_the_cost_is(tmp_path):
    def limits(text):
        run = MadeRun(tmp_path / str(len(text)), parse_space(text, "space.yaml"))
        run.start(text)
        return [one for one in caveats(summarize(read_run(run.stop()))) if "order" in one]

    short = DENSE.replace("size: 0.7}", "size: 0.7}\n    epochs: 5")
    assert limits(short) == ["20 epochs for student: longer training may change the order."]
    equal = "search: {equal_cost: 990000000000}\nstages:"
    assert limits(short.replace("stages:", equal)) == [
        "One cost for every schedule, 990.00 G sample-MACs: at another the order may be another."
    ]


def test_the_drawing_says_in_words_what_it_shows(dense):
    record = read_run(dense.stop())
    drawing = draw_chain(gather_chain(record, record.trials[0].asked))
    assert drawing.alt.startswith("3 stages: teacher with 327,674 parameters learns from labels;")
    assert "an arrow around other boxes" in drawing.caption
    for words in ("from teacher: as it was after epoch 5", "189,096 parameters", "85.00 % val"):
        assert words in drawing.body


def test_an_arrow_around_a_wider_box_does_not_cross_it():
    sizes = {"a": 1_000, "wide": 10**6, "b": 10}
    boxes = tuple(Box(name, "", size, None, "", False) for name, size in sizes.items())
    body = draw_chain(Chain(boxes, (Link("a", "b", ("outputs",), False),))).body
    (line,) = re.findall(r'd="M ([^"]*) \n" clip-path="[^"]*" style="fill: none', body)
    start, _, out, _, _, _, end, _ = map(float, line.replace("\nC", "").split())
    assert (start + 6 * out + end) / 8 < 132 - 208 / 2  # the wide box's left edge


def test_a_schedule_of_a_later_version_is_not_drawn(dense):
    run = dense
    ledger = run.paths.ledger
    text = ledger.read_text(encoding="utf-8")
    assert "dmtsearch: 1\\nname" in text
    ledger.write_text(text.replace("dmtsearch: 1\\nname", "dmtsearch: 9\\nname"))
    record = read_run(run.stop())
    assert gather_chain(record, record.trials[0].asked) is None


def test_provenance_tells_every_command_once(dense):
    dense.clock += timedelta(hours=1)
    dense.start(DENSE, resumed=True)
    rows = dict(provenance(summarize(read_run(dense.stop("interrupted")))))
    assert rows["command"] == "dmtsearch search space.yaml --out runs/made"
    assert rows["started or resumed"] == "2 times"
    assert rows["stopped"] == "interrupted"
    assert rows["commit"] == "a89b30e"
    assert rows["hardware.cores"] == "2"
    assert rows["openings of the test split"] == "0"
    assert rows["seeds of the arms"] == "search 0"
    assert "run_id" not in rows


def test_nested_facts_become_dotted_rows_without_empty_ones():
    facts = {"a": {"b": 1, "c": None}, "d": [1, 2], "e": "", "f": {}}
    assert flatten(facts) == [("a.b", "1"), ("d", "1, 2")]
