"""Schedules and spaces made odd, as text for the YAML reader: equal seeds, equal texts."""

import copy
import json
import random
from pathlib import Path
from typing import Any

from dmtsearch.schedule import parse_document

ROOT = Path(__file__).resolve().parents[1]
TEXTS = [
    path.read_text(encoding="utf-8")
    for path in [
        *sorted((ROOT / "search_spaces").glob("*.yaml")),
        ROOT / "dmtsearch" / "cli" / "demo.yaml",
    ]
]
_HOLES: tuple[Any, ...] = (
    *(
        {"choice": []},
        {"choice": [1]},
        {"choice": {}},
        {"choice": {"a": 1}},
        {"choice": [1, True]},
    ),
    *({"int": [0, 2]}, {"int": [2, 0]}, {"int": []}, {"int": [0, 10**12]}, {"int": [1, 5, 0]}),
    *({"float": [0, 1, 0]}, {"float": [0, 1]}, {"float": [0, 1, 1e-12]}, {"log": [0, 1]}),
    *({"log": [1e-300, 1e300]}, {"choice": [{"choice": [1, 2]}, 3]}, {"int": {"choice": [1, 2]}}),
    *({"choice": [1, 2], "as": "tied"}, {"choice": {"a": 1, "b": 2}, "as": "tied"}),
    *({"int": [1, 3], "as": "tied"}, {"choice": [True, 2], "as": "tied"}),
)
ODD: tuple[Any, ...] = (
    *(0, -1, 1, 2, 3, 10**9, 10**18, 10**90, 10**400, 1e308, -0.0, 1e-320, 0.5, True, False),
    *(None, "", "none", "all", "teacher", "student", "..", "../../x", "a.b.c", "block1"),
    *("x" * 5000, "\x00", "é", "1e400", ".nan", "\ud800", "\x1b[31m", "2026-01-01", "0x10"),
    *([], {}, [[]], [None], [1, "a", {}], {"": 1}, {"a": {"b": {"c": 1}}}, [1] * 300),
    *([10**18, 8], [1] * 50, "/dev/zero", "file.safetensors", "math:sqrt", "os:getcwd"),
    *_HOLES,
)
_KEYS = (
    *("search", "stages", "defaults", "data", "model", "source", "hints", "repeat", "order"),
    *("size", "soft", "merit", "switch", "epochs", "init", "select", "degrade", "weights"),
    *("factory", "args", "family", "widths", "convs", "between", "deliver", "controls", "name"),
    *("constraints", "objectives", "start_with", "resources", "keep", "optimizer", "until", "at"),
    *("when", "rule", "placebo", "modality", "k", "inputs", "hidden", "depth", "epoch", "stage"),
    *("hint_phase", "augment", "head", "base", "blocks", "pool", "seed", "sampler", "pruner"),
)
_SIGNS = (
    *"{}[]:,#&*!|>'\"%@`-?\t\x00\x07\u2028 0a.~<=",
    *("<<: ", "!!python/object/apply:os.system ", "&a ", "*a", "? ", "---\n", "...\n"),
    *("\ufeff", "!!binary ", "\\", "!t "),
)
_plain: list[Any] = []


def odd_document(seed: int) -> str:
    """Return one of the shipped documents with one to five odd changes, as text."""
    rng = random.Random(seed)
    if not _plain:
        _plain.extend(parse_document(text, "x.yaml")[0] for text in TEXTS)
    if rng.random() < 0.25:
        return _odd_lines(rng)
    value = copy.deepcopy(rng.choice(_plain))
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
        value = _changed(value, rng)
    return json.dumps(value)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every list or mapping with each of its keys."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        here = waiting.pop()
        keys = list(here) if isinstance(here, dict) else range(len(here))
        for key in keys:
            found.append((here, key))
            if isinstance(here[key], dict | list):
                waiting.append(here[key])
    return found


def _changed(value: Any, rng: random.Random) -> Any:
    places = _places(value) if isinstance(value, dict | list) else []
    if not places or rng.random() < 0.01:
        return copy.deepcopy(rng.choice(ODD)) or {}
    holder, key = rng.choice(places)
    there, other_key = rng.choice(places)
    kind = rng.random()
    if kind < 0.45:
        holder[key] = copy.deepcopy(rng.choice(ODD))
    elif kind < 0.6:
        holder[key] = copy.deepcopy(there[other_key])
    elif kind < 0.75:
        del holder[key]
    elif kind < 0.9:
        new = copy.deepcopy(rng.choice(ODD) if rng.random() < 0.5 else there[other_key])
        below = holder[key]
        if isinstance(below, dict):
            below[rng.choice(_KEYS)] = new
        elif isinstance(below, list):
            below.insert(rng.randrange(len(below) + 1), new)
    else:
        one, other = copy.deepcopy(holder[key]), copy.deepcopy(there[other_key])
        holder[key], there[other_key] = other, one
    return value


def _odd_lines(rng: random.Random) -> str:
    lines = rng.choice(TEXTS).split("\n")
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        kind, at = rng.random(), rng.randrange(len(lines))
        line = lines[at]
        if kind < 0.2:
            del lines[at]
            lines = lines or [""]
        elif kind < 0.35:
            lines.insert(at, rng.choice(lines))
        elif kind < 0.5:
            lines[at] = " " * rng.randrange(8) + line.lstrip()
        elif kind < 0.8:
            place = rng.randrange(len(line) + 1)
            lines[at] = line[:place] + rng.choice(_SIGNS) + line[place + rng.randrange(3) :]
        elif ":" in line:
            lines[at] = f"{line.split(':', 1)[0]}: {rng.choice(ODD)}"
    return "\n".join(lines)
