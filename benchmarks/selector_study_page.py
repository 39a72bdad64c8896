"""The selector study in plain English: what was found, as it was found.

Written from the numbers alone, by rules that were fixed before there were any.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from selector_study_numbers import (
    GROUPS,
    NONE,
    ONE,
    ORACLE,
    OWN,
    RESAMPLES,
    Cell,
    Difference,
    Study,
    cell_of,
    conditions_of,
    role_of,
)
from selector_study_words import compare, expectation, mean_of, trend, with_interval

from dmtsearch.human import amount, counted, duration, listed
from dmtsearch.reporting.canvas import Drawing

GROUP_WORDS = {
    "seen": "kinds that the selector was trained on",
    "part": "halves of a kind that it was trained on",
    "unseen": "kinds that it never met",
}


@dataclass(frozen=True)
class Made:
    """How a study came about.

    Attributes:
        source: Name of the file that was studied.
        command: That makes it again.
        note: What else to know of the schedule, such as how it was chosen; may be empty.
        openings: How often the test split was opened, over all bundles.
    """

    source: str
    command: str
    note: str
    openings: int


def write_page(
    study: Study,
    means: Sequence[Difference],
    facts: Sequence[Mapping[str, Any]],
    made: Made,
    figures: Sequence[Drawing],
) -> str:
    """The page, Markdown."""
    groups = [name for name in GROUPS if any(one.group == name for one in study.places)]
    parts = [
        "# Whom a selector believes, and what that is worth",
        _heading(study, made),
        *([made.note] if made.note else []),
        "## What was found",
        *_findings(study, means, groups),
        "## Means over kinds and severities",
        *_mean_tables(study, means, groups),
        "## Figures",
        *(f"![{one.alt}]({one.name}.svg)\n\n{one.caption}" for one in figures),
        "## Each kind, one modality degraded",
        *_kind_tables(study, means),
        "## How it was made",
        _how(study, facts, made),
        "## What these numbers do not say",
        _limits(study, means),
    ]
    return "\n\n".join(parts) + "\n"


def _heading(study: Study, made: Made) -> str:
    return (
        f"The schedule of `{made.source}` ([schedule.yaml](schedule.yaml)), trained anew from its "
        f"first stage to its last with {counted(len(study.seeds), 'seed')} "
        f"({', '.join(map(str, study.seeds))}), and scored on the sealed test split "
        f"(n = {study.num_samples}, the same samples for all seeds). Differences are the "
        "selector's accuracy minus a method's, in percentage points, mean over seeds, with a 95 % "
        "t interval over the seeds. *Above* and *below* are said only where this interval and a "
        "second one, that resamples seeds and samples, both lie on that side of zero; all else "
        "is *not told apart*. No interval is adjusted for the number of comparisons. Nothing was "
        "chosen or tuned by what is read here."
    )


def _findings(study: Study, means: Sequence[Difference], groups: Sequence[str]) -> list[str]:
    lines = ["**Selection against severity** (expected: better). One modality degraded:"]
    severities = sorted({one.severity for one in study.places if one.severity is not None})
    ends = (severities[0], severities[-1])
    rows = []
    for group in groups:
        cells = [cell_of(study.places, group, ONE, severity=severity) for severity in ends]
        change = trend(*(study.selected(OWN, cell) for cell in cells))
        levels = [mean_of(study.selected(OWN, cell)) for cell in cells]
        rows.append(
            f"- {GROUP_WORDS[group]}: {change} (the undegraded one believed: {levels[0]} % at "
            f"severity {ends[0]:g}, {levels[1]} % at {ends[1]:g})."
        )
    lines.append("\n".join(rows))
    conditions = conditions_of(study.places)
    lines.append(
        "**Accuracy with one modality degraded** (expected: above each modality and each "
        "selection rule). Points, mean over kinds and severities; intervals stand in the tables:"
    )
    rows = []
    for group in groups:
        for condition in one_degraded(conditions):
            found = _of(means, group, condition)
            rivals = [r for r in found if role_of(r.method) in ("modality", "selection rule")]
            fusion = [r for r in found if role_of(r.method) == "fusion rule"]
            which = "the mean over which" if condition == ONE else f"{condition} degraded"
            rows.append(
                f"- {GROUP_WORDS[group]}; {which}: **{expectation(rivals)}** The selector is "
                f"{compare(rivals)}. Of fusion rules it is {compare(fusion)}."
            )
    lines.append("\n".join(rows))
    lines.append("**Accuracy with nothing degraded** (expected: fusion may win).")
    lines.append(f"The selector is {compare(_rivals(_of(means, NONE, NONE)))}.")
    several = [name for name in conditions if name in ("both", "all")]
    for name in several:
        lines.append(f"**Accuracy with {name} degraded** (nothing was expected).")
        rows = [
            f"- {GROUP_WORDS[group]}: the selector is {compare(_rivals(_of(means, group, name)))}."
            for group in groups
        ]
        lines.append("\n".join(rows))
    return lines


def one_degraded(conditions: Sequence[str]) -> list[str]:
    """Conditions with exactly one modality degraded, their mean first."""
    return [ONE, *(name for name in conditions if name not in (NONE, ONE, "both", "all"))]


def _rivals(found: Sequence[Difference]) -> list[Difference]:
    return [one for one in found if one.method != ORACLE]


def _of(
    means: Sequence[Difference], group: str, condition: str, kind: str | None = None
) -> list[Difference]:
    """The selector minus each method, mean over severities (and kinds, without `kind`)."""
    wanted = (group, kind, None, condition)
    return [
        one
        for one in means
        if (one.cell.group, one.cell.kind, one.cell.severity, one.cell.condition) == wanted
    ]


def _mean_tables(study: Study, means: Sequence[Difference], groups: Sequence[str]) -> list[str]:
    conditions = conditions_of(study.places)
    heads = [f"{name} degraded" if name != NONE else "nothing degraded" for name in conditions]
    parts = [
        "A column is the mean over all its conditions, each of the same weight; *one degraded* "
        "is the mean over which one it is. In brackets: 95 % t interval over the seeds. A star: "
        "the second interval leaves out zero too, on the same side."
    ]
    for group in groups:
        cells = {
            name: cell_of(study.places, NONE if name == NONE else group, name)
            for name in conditions
        }
        parts.append(f"### {GROUP_WORDS[group].capitalize()}: {_kinds(study, group)}")
        parts.append("Accuracy, %, mean over seeds:")
        parts.append(_table(["method", *heads], [_levels(study, m, cells) for m in study.methods]))
        parts.append("The selector minus each method, points:")
        by_cell = {name: _of(means, cell.group, name) for name, cell in cells.items()}
        parts.append(_table(["method", *heads], _difference_rows(study, by_cell)))
        parts.append("The selector's choices, %, mean over seeds:")
        measures: dict[str, Callable[[Cell], NDArray[np.float64]]] = {
            "the undegraded one believed": lambda cell: study.selected(OWN, cell),
            "the right one believed, where one is": lambda cell: study.decided(OWN, cell),
            "regret to the oracle selector": lambda cell: (
                study.accuracy(ORACLE, cell) - study.accuracy(OWN, cell)
            ),
        }
        rows = [
            [words, *(mean_of(measure(cell)) for cell in cells.values())]
            for words, measure in measures.items()
        ]
        parts.append(_table(["", *heads], rows))
    return parts


def _kinds(study: Study, group: str) -> str:
    return listed(list(dict.fromkeys(p.kind for p in study.places if p.kind and p.group == group)))


def _levels(study: Study, method: str, cells: Mapping[str, Cell]) -> list[str]:
    return [method, *(mean_of(study.accuracy(method, cell)) for cell in cells.values())]


def _difference_rows(study: Study, by_cell: Mapping[str, Sequence[Difference]]) -> list[list[str]]:
    rows = []
    for method in study.methods:
        if method != OWN:
            cells = [_difference_cell(found, method) for found in by_cell.values()]
            rows.append([f"{method} ({role_of(method)})", *cells])
    return rows


def _difference_cell(found: Sequence[Difference], method: str) -> str:
    for one in found:
        if one.method == method:
            star = "" if one.verdict == "open" else " *"
            return with_interval(one.mean, one.over_seeds) + star
    return "-"


def _kind_tables(study: Study, means: Sequence[Difference]) -> list[str]:
    kinds = list(dict.fromkeys((p.kind, p.group) for p in study.places if p.kind is not None))
    kinds = [(kind, group) for kind, group in kinds if _of(means, group, ONE, kind)]
    heads = [f"{kind} ({group})" for kind, group in kinds]
    by_kind = {str(kind): _of(means, group, ONE, kind) for kind, group in kinds}
    return [
        "The selector minus each method, points, mean over severities and over which one of the "
        "modalities is degraded; brackets and star as above. Every severity and condition by "
        "itself: `differences.csv`.",
        _table(["method", *heads], _difference_rows(study, by_kind)),
    ]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _how(study: Study, facts: Sequence[Mapping[str, Any]], made: Made) -> str:
    splits = facts[0]["splits"]
    sizes = ", ".join(f"{name} {size:,}" for name, size in splits.items())
    missing = sorted(
        {f"{n}: {why}" for one in facts for n, why in one["evaluation"]["missing"].items()}
    )
    seconds = [one["stage_s"] for one in facts]
    lines = [
        f"- Command: `{made.command}`.",
        f"- Samples: {sizes}. Classifiers learn from train, the selector, the temperatures and "
        "stacking from `selector`; val chose among epochs; no stage reads test.",
        f"- Openings of the test split: {made.openings}, over "
        f"{counted(len(facts), 'bundle')}, each written down in its bundle.",
        f"- Degradations that the selector was trained on: {listed(facts[0]['trained_on'])}. "
        f"{counted(len(study.places), 'condition')} in the sweep.",
        "- No stage is shared between seeds (their keys differ). The splits, and how each test "
        "sample is degraded, are the same for all seeds.",
        f"- The whole: {amount(facts[0]['params'])} parameters, {amount(facts[0]['macs'])} MACs.",
        f"- Training of a seed: {duration(min(seconds))} to {duration(max(seconds))} of stages, "
        f"on {listed(_distinct(facts, 'device'))}.",
        "- Versions: " + "; ".join(_versions(facts)) + f". Commit {_commits(facts)}.",
        "- First interval: mean +- t(.975, seeds - 1) times standard deviation over the root of "
        f"the number of seeds, on the differences paired by seed (n = {len(study.seeds)}).",
        f"- Second interval (`both_low`, `both_high`): percentiles 2.5 and 97.5 of {RESAMPLES:,} "
        "means over seeds and samples drawn with replacement, independently; a sample that is "
        "drawn is drawn for all seeds. The draws have a fixed seed.",
    ]
    lines += [f"- Missing: {one}." for one in missing]
    return "\n".join(lines)


def _versions(facts: Sequence[Mapping[str, Any]]) -> list[str]:
    told = [", ".join(f"{n} {v}" for n, v in one["versions"].items()) for one in facts]
    return list(dict.fromkeys(told))


def _distinct(facts: Sequence[Mapping[str, Any]], field: str) -> list[str]:
    return list(dict.fromkeys(str(one[field]) for one in facts))


def _commits(facts: Sequence[Mapping[str, Any]]) -> str:
    return listed(_distinct(facts, "commit"))


def _limits(study: Study, means: Sequence[Difference]) -> str:
    compared = sum(one.method != ORACLE for one in means)
    return "\n".join(
        [
            f"- All seeds share one test split of {study.num_samples} samples. The t interval "
            "covers the choice of seeds and not that of samples; the second one covers both, but "
            f"from {counted(len(study.seeds), 'seed')} it is too short. Neither covers other "
            "identities or other data.",
            f"- `means.csv` holds {compared:,} comparisons and `differences.csv` more. Were "
            "there no difference anywhere, some would still be called above or below.",
            "- The oracle selector knows the labels: a bound for whatever believes one modality. "
            "Fusion rules may pass it.",
            "- The change of selection with severity is judged by the t interval alone.",
            "- One schedule was studied; others, other sensors and other degradations may do "
            "otherwise.",
        ]
    )
