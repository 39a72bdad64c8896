"""The text of a new search space: YAML with comments that say what may be changed."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dmtsearch.data import DataFacts
from dmtsearch.engine import SearchPlan, small_test
from dmtsearch.evidence import seeable
from dmtsearch.human import amount, hours_text


@dataclass(frozen=True)
class NewChain:
    """What the file says, apart from numbers that the budget decides."""

    name: str
    data: str
    facts: DataFacts
    sizes: Mapping[str, int]
    first: Mapping[str, Any]
    target: Mapping[str, Any]
    words: tuple[str, str]
    command: str
    with_assistant: bool = True
    with_hints: bool = True


def space_text(
    chain: NewChain,
    *,
    trials: int,
    epochs: int,
    plan: SearchPlan | None = None,
    hours: float = 0.0,
) -> str:
    """The file, with its comments.

    Args:
        chain: What it says.
        trials, epochs: As the budget allows.
        plan: What that costs, for the comment; nothing is said of it if None.
        hours: The budget.
    """
    hints = "{choice: {none: [], halfway: [{source: 0.5, at: 0.5}]}}"
    asks = [
        *(["passing through a middle model"] if chain.with_assistant else []),
        *(["imitating a layer halfway"] if chain.with_hints else []),
        "trusting the first model more",
    ]
    question = f"On {chain.name}, does {', or '.join(asks)} make the small model better?"
    lines = [
        f"# Question: {question}",
        "#",
        f"# Written by `{chain.command}`; all of it is there to be changed,",
    ]
    lines += ["# and `dmtsearch check` says what it then costs.", "#"]
    lines += [f"# Scientific: {', '.join(_scientific(chain))}."]
    lines += ["# Nuisance:   learning rate 3e-3 (one-cycle), one value for all stages."]
    lines += [f"# Fixed:      {_data_words(chain)}; temperature 4; seed 0; one cost for all."]
    if plan is not None:
        lines += [
            f"# Budget:     {line}" if n == 0 else f"#             {line}"
            for n, line in enumerate(_budget(plan, hours))
        ]
    warning = seeable(chain.sizes["test"], 0.9)
    if (reason := small_test(chain.sizes["test"])) is not None:
        warning = f"`dmtsearch confirm` will refuse: {reason}. Give more images."
    if warning is not None:
        lines += ["#", *(f"# {line}" for line in _wrapped(f"Note: {warning}"))]
    lines += [
        "dmtsearch: 1",
        f"name: {chain.name}",
        "search:",
        f"  question: {_quoted(question)}",
        "  objectives: {val_accuracy: max}",
        "  sampler: tpe",
        f"  trials: {trials}",
        "  # The small model from labels alone, and from the first model alone, at the same cost.",
        "  controls: [scratch_long, direct_long]",
        "  equal_cost: true      # all train for as long as one common cost pays for",
        f"data: {chain.data}",
        "defaults:",
        f"  epochs: {epochs}"
        + " " * max(1, 14 - len(str(epochs)))
        + "# of the last stage they only help to find that cost",
        "  keep: best",
        "  optimizer: {name: adam, lr: 0.003, schedule: one_cycle, "
        f"batch: {_batch(chain.sizes['train'])}}}",
        "stages:",
        "  teacher:",
        f"    model: {flow(chain.first)}",
    ]
    phase = f"    hint_phase: {{epochs: {max(1, epochs // 4)}}}      # hints alone before the rest"
    if chain.with_assistant:
        lines += [
            "  assistant:",
            "    repeat: {int: [0, 1]}      # none, or one; more: {int: [0, 2]}",
            "    source: teacher",
            "    # Between teacher and student, in log-parameters: 1 is as big as the teacher.",
            "    model: {family: plain, convs: 2, size: {float: [0.25, 0.75, 0.25]}}",
            "    soft: {temperature: 4, weight: 0.5}",
        ]
    lines += [
        "  student:",
        f"    source: {'assistant' if chain.with_assistant else 'teacher'}",
        f"    model: {flow(chain.target)}",
    ]
    if chain.with_hints:
        lines += [f"    hints: {hints}", phase]
    lines += ["    soft: {temperature: 4, weight: {choice: [0.5, 0.8]}}"]
    return "\n".join(lines) + "\n"


def _batch(num_train: int) -> int:
    """At most 64 samples, and few enough for some steps in each epoch of a small data set."""
    return max(2, min(64, 1 << int(math.log2(max(2, num_train // 4)))))


def _scientific(chain: NewChain) -> Iterator[str]:
    if chain.with_assistant:
        yield "no middle model or one, and its size"
    if chain.with_hints:
        yield "hints halfway or none"
    yield "the weight of soft targets"


def _data_words(chain: NewChain) -> str:
    sizes = ", ".join(f"{name} {number:,}" for name, number in chain.sizes.items())
    return f"{chain.facts.num_classes} classes; {sizes}"


def _budget(plan: SearchPlan, hours: float) -> Iterator[str]:
    slots, took = next(iter(plan.by_slots.items()))
    yield (
        f"{hours:g} hours on this machine ({slots} slots): {plan.trials} trials and "
        f"{plan.controls} control arms take about {hours_text(took)}"
    )
    looks = [hours_text(plan.confirm[name].hours) for name in ("first_look", "last_look")]
    yield (
        f"({amount(plan.cost_run)} sample-MACs), `dmtsearch confirm` {looks[0]} to its first look;"
    )
    yield f"to its last one {looks[1]}."


def _wrapped(text: str, width: int = 95) -> Iterator[str]:
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            yield line
            line = ""
        line = f"{line} {word}".strip()
    yield line


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(one) for one in value) + "]"
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z_][\w.-]*", value):
        return _quoted(value)
    return str(value)
