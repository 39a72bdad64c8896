"""The selector beside every other method; only for runs whose best trial delivers one."""

from collections.abc import Sequence

from dmtsearch.engine.selector_scores import (
    ALONE,
    ORACLE,
    RULE_WORDS,
    MethodScore,
    method_of,
)
from dmtsearch.engine.selector_scores import SELECTOR as OWN
from dmtsearch.human import counted, listed, percent, points
from dmtsearch.reporting.confirmation import CHOSEN, Effect, Found
from dmtsearch.reporting.layout import Block, Items, Section, TableBlock, Text, figures
from dmtsearch.reporting.run_record import Trial
from dmtsearch.reporting.selector_figures import draw_accuracy, draw_choices, draw_selection
from dmtsearch.reporting.selector_results import (
    Architecture,
    ConditionGroup,
    Score,
    SelectorResults,
    architecture_of,
    best_of,
    degraded_words,
    label,
)


def build_words(architecture: Architecture) -> str:
    """What a selector reads, its net, and how it decides, in one sentence and a half."""
    names = listed(architecture.stages)
    reads = {
        "topk": f"the {architecture.k} largest class probabilities",
        "posterior": "all class probabilities",
        "logits": "the logits",
        "moments": "four numbers about the certainty (largest probability, margin, entropy, "
        "energy)",
    }.get(architecture.inputs, architecture.inputs)
    dropout = f", dropout {architecture.dropout:g}" if architecture.dropout else ""
    decides = {
        "hard": "lets the selected modality decide alone (hard)",
        "soft": "mixes the classes' probabilities by a weight for each modality (soft); the one "
        "that weighs most counts as selected",
    }.get(architecture.decision, architecture.decision)
    predicts = {
        "undegraded": "which modality is not degraded",
        "right": "which modality is right, where exactly one is",
    }.get(architecture.target, architecture.target)
    return (
        f"reads {reads} of each of {names}, has {hidden_words(architecture.hidden)}{dropout}, and "
        f"{decides}. It was trained to predict {predicts}, on samples degraded by "
        f"{listed(architecture.kinds)}."
    )


def hidden_words(hidden: Sequence[int]) -> str:
    """`no hidden layer`, `a hidden layer of 16 units`, `hidden layers of 64 and 32 units`."""
    if not hidden:
        return "no hidden layer"
    if len(hidden) == 1:
        return f"a hidden layer of {counted(hidden[0], 'unit')}"
    return f"hidden layers of {listed([str(units) for units in hidden])} units"


def sweep_words(found: SelectorResults) -> str:
    """Which conditions were met: kinds, severities, on what; and n."""
    sweep, seen = found.sweep, [one for one in found.conditions if one.seen]
    if sweep is None:
        return "no condition"
    kinds = list(dict.fromkeys(one.kind for one in seen if one.kind is not None))
    severities = sorted({one.severity for one in seen if one.severity is not None})
    where = list(dict.fromkeys(one.degraded for one in seen if one.degraded))
    parts = []
    if kinds:
        names = [listed(on) if len(on) < len(found.modalities) else "all" for on in where]
        if len(found.modalities) == 2:
            names = ["both" if name == "all" else name for name in names]
        grid = listed([f"{severity:g}" for severity in severities])
        word = "severity" if len(severities) == 1 else "severities"
        parts.append(f"{listed(kinds)} at {word} {grid} on {listed(names)}")
    if any(one.kind is None for one in seen):
        parts.append("nothing degraded")
    return f"{counted(sweep.conditions, 'condition')} ({', and '.join(parts)})"


def span(score: Score, digits: int = 1) -> str:
    """An accuracy's 95 % interval in percent: ` (69.3 to 77.4)`; empty where there is none."""
    if score.interval is None:
        return ""
    low, high = (f"{100 * end:.{digits}f}" for end in score.interval)
    return f" ({low} to {high})"


def minus_words(score: Score, digits: int = 1) -> str:
    """Selector minus a method, in points: `+7.61 (4.1 to 11.2)`; `-` where there is none."""
    if score.minus is None:
        return "-"
    middle, low, high = (100 * value for value in score.minus)
    return f"{middle:+.2f} ({low:+.{digits}f} to {high:+.{digits}f})"


_FAMILIES = {
    "modality": "the most accurate single modality",
    "selection": "the most accurate selection rule",
    "fusion": "the most accurate fusion rule",
    "oracle": "which knows the labels",
}


def selector_section(found: SelectorResults | None) -> Section | None:
    """What the selector is, how it does beside the baselines, and which modality it selects."""
    if found is None:
        return None
    blocks: list[Block] = []
    sweep = found.sweep
    if sweep is None:
        blocks.append(
            Text(
                f"{_what(found)} The ledger holds no sweep of it (an earlier version wrote this "
                "run, or the line was lost), so nothing can be set beside it here."
            )
        )
    else:
        blocks += _answer(found, sweep)
        blocks += _best_by(found)
        blocks += _tables(found, sweep)
        blocks += figures([draw_accuracy(found)])
        blocks += figures([draw_selection(found)])
        blocks += figures([draw_choices(found)])
    blocks += _trials(found)
    return Section("selector", "The selector beside other methods", tuple(blocks))


def _what(found: SelectorResults) -> str:
    who = f"The selector of trial {found.trial}"
    if found.architecture is None:
        return f"{who} has a schedule that this version cannot read."
    return f"{who} {build_words(found.architecture)}"


def _answer(found: SelectorResults, sweep: ConditionGroup) -> list[Block]:
    own = sweep.scores[OWN]
    interval = ""
    if own.interval is not None:
        low, high = (f"{100 * end:.2f}" for end in own.interval)
        interval = f"95 % interval {low} to {high} %; "
    blocks: list[Block] = [
        Text(
            f"{_what(found)} Over val's sweep of {sweep_words(found)}, its mean accuracy is "
            f"{percent(own.accuracy)} ({interval}n = {sweep.n:,} val samples, each measured in "
            "every condition)."
        )
    ]
    has_pairs = all(one.minus is not None for name, one in sweep.scores.items() if name != OWN)
    items = []
    for kind, words in _FAMILIES.items():
        name = best_of(kind, sweep)
        if name is None:
            continue
        other = sweep.scores[name]
        who = f"{'the ' if name == ORACLE else ''}{label(name)}, {words}"
        items.append(
            f"Selector minus {who} ({percent(other.accuracy)}): {minus_words(other)}."
            if has_pairs
            else f"{who[0].upper()}{who[1:]}: {percent(other.accuracy)}{span(other)}."
        )
    blocks.append(Items(tuple(items)))
    how = (
        "Differences are in points; in brackets 95 % intervals, paired: of each of the "
        f"{sweep.n:,} samples the difference is taken over all conditions, and the interval is "
        "normal from the spread of these."
        if has_pairs
        else "In brackets: 95 % intervals of each accuracy, normal from the spread of the "
        "samples' own means; the ledger has no differences sample by sample."
    )
    blocks.append(
        Text(
            f"{how} They count the chance of these samples only, not of a seed. And these are val "
            "samples, which chose this selector among the trials, and by which the most accurate "
            "of each kind of method was picked: none of this is a verdict."
        )
    )
    return blocks


def comparison_words(found: SelectorResults) -> str | None:
    """The best selector beside what needs none, on val; None where the ledger has no sweep."""
    seen = found.comparison
    if seen is None:
        return None
    own = seen.best.accuracy

    def beside(score: MethodScore) -> str:
        return f"{percent(score.accuracy)} (the selector {points(own - score.accuracy)})"

    words = [
        f"the best {what}, {label(one.method)}, has {beside(one)}"
        for what, one in (("rule", seen.rule), ("single modality", seen.modality))
        if one is not None
    ]
    trials = [
        f"by {label(rule)} trial {one.trial} is best with {beside(one)}"
        for rule, one in seen.best_by.items()
    ]
    return (
        f"Over val's sweep, on the same outputs {listed(words)}; of all trials {listed(trials)}."
    )


def instead_words(found: Found, but: str) -> str:
    """What to use, for a reader who stops here.

    Args:
        found: The result of a confirmation.
        but: What became of the chosen selector, where a control is recommended.
    """
    least = min(found.controls, key=lambda one: one.difference)
    subject = found.subject.removeprefix("the chosen ")
    arm = found.recommended or CHOSEN
    method = method_of(arm)
    if arm == CHOSEN:
        return (
            f"Yes: the {subject} of trial {found.chosen.trial}; {points(least.difference)} over "
            f"the best of all rules and single modalities, in {found.metric}."
        )
    if method.startswith(ALONE):
        instead = label(method)
    elif arm == method:
        instead = f"the rule {label(method)} between the same classifiers, without a selector"
    else:
        instead = f"{label(method)} between the classifiers that are best by it"
    rule = f": {RULE_WORDS[method]}" if method in RULE_WORDS else ""
    return f"No: use {instead}{rule}. The {subject} {but}."


def chosen_words(chosen: Trial, found: Found, effects: Sequence[Effect]) -> list[str]:
    """What the chosen selector is, and how it is beside the paper's own, on test."""
    name, number = found.subject, found.chosen.trial
    start = f"{name[0].upper()}{name[1:]}, trial {number}, has {percent(found.chosen.accuracy)}"
    architecture = architecture_of(chosen)
    words = [f"{start} on test." if architecture is None else
             f"{start} on test; it {build_words(architecture)}"]  # fmt: skip
    for one in effects:
        if one.dimension == "paper":
            low, high = (points(end).removesuffix(" points") for end in one.interval)
            words.append(
                f"Beside {one.variant} it is {points(one.effect)} (95 % {low} to {high}, n = "
                f"{one.n})."
            )
    return words


def _best_by(found: SelectorResults) -> list[Block]:
    seen = found.comparison
    if seen is None:
        return []
    rows = tuple(
        (
            what,
            f"trial {one.trial}",
            label(one.method),
            percent(one.accuracy),
            "-" if one is seen.best else points(seen.best.accuracy - one.accuracy),
        )
        for what, one in (
            ("best selector", seen.best),
            ("best rule beside it", seen.rule),
            ("best modality beside it", seen.modality),
            *((f"best trial by {label(rule)}", one) for rule, one in seen.best_by.items()),
        )
        if one is not None
    )
    columns = ("what", "classifiers of", "decides", "val accuracy", "selector minus it")
    return [
        TableBlock(
            columns,
            rows,
            columns[3:],
            "Mean accuracy over val's sweep. The best trial by a rule is the finished trial whose "
            "classifiers that rule decides best between, whatever its selector; its scores are in "
            "the store, so nothing was trained for it. All: rules.csv of the run.",
        )
    ]  # fmt: skip


def _tables(found: SelectorResults, sweep: ConditionGroup) -> list[Block]:
    heads = tuple(
        f"{degraded_words(group.degraded, found.modalities)}, "
        f"{group.n:,}\u00a0x\u00a0{group.conditions}"
        for group in found.groups
    )
    rows = tuple(
        (
            label(name),
            percent(sweep.scores[name].accuracy) + span(sweep.scores[name]),
            *(percent(group.scores[name].accuracy) for group in found.groups[1:]),
        )
        for name in found.methods
    )
    missing = "".join(f" No {label(name)}: {why}." for name, why in found.missing.items())
    choices = tuple(
        (label(name), minus_words(one), percent(one.selection),
         percent(one.decisive), _points(one.regret))
        for name, one in sweep.scores.items()
    )  # fmt: skip
    decisive = sweep.scores[OWN].decisive_n
    columns = ("method", "selector minus it, points", "selection accuracy", "decisive accuracy",
               "regret, points")  # fmt: skip
    return [
        TableBlock(
            ("mean accuracy", *heads), rows, heads,
            "Means over conditions of equal weight; in each head, val samples x conditions. In "
            "brackets the 95 % interval, over samples. Temperatures and stacking are fitted on "
            f"the selector split, which nothing is scored on.{missing}",
        ),
        TableBlock(
            columns, choices, columns[1:],
            f"Over the whole sweep, n = {sweep.n:,} x {sweep.conditions}. Selection accuracy: an "
            f"undegraded modality selected, where exactly one is degraded ({_one(found)}). "
            "Decisive accuracy: the right modality selected, where exactly one is right "
            f"({decisive or 0:,} answers). Regret: the oracle selector's accuracy minus the "
            "method's. A dash: not defined there. Fusion rules select no single modality, and "
            "the oracle selects the first of those that are right, which says nothing of "
            "degradation. The same by what is degraded, with intervals, and by condition: "
            "selector_methods.csv and selector_sweep.csv.",
        ),
    ]  # fmt: skip


def _points(share: float) -> str:
    return f"{100 * share:.2f}"


def _one(found: SelectorResults) -> str:
    count = sum(len(one.degraded) == 1 for one in found.conditions if one.seen)
    return counted(count, "condition")


def _trials(found: SelectorResults) -> list[Block]:
    if len(found.trials) < 2:
        return []
    columns = ("trial", "inputs", "k", "hidden", "target", "decision", "val accuracy",
               "val regret, points", "selection accuracy")  # fmt: skip
    rows = tuple(
        (
            str(one.trial),
            one.architecture.inputs,
            "-" if one.architecture.k is None else str(one.architecture.k),
            "-".join(map(str, one.architecture.hidden)) or "linear",
            one.architecture.target,
            one.architecture.decision,
            percent(one.accuracy),
            "-" if one.regret is None else _points(one.regret),
            percent(one.selection),
        )
        for one in found.trials
    )
    of = (
        f"The best {len(rows)} of {counted(found.finished, 'finished search trial')}"
        if len(rows) < found.finished
        else f"All {counted(found.finished, 'finished search trial')}"
    )
    sweep = found.sweep
    n = f"n = {sweep.n:,} val samples x {sweep.conditions} conditions, " if sweep else ""
    numbers = ("trial", "k", "val accuracy", "val regret, points", "selection accuracy")
    caption = f"{of}, best first; {n}one seed each. k is read by topk alone."
    return [TableBlock(columns, rows, numbers, caption)]
